/** What inputs and outputs of the library's functions are, and how that is settled. */
import { type SuffixKind, suffixKind } from '../../store/location.ts';

/** What can be made and extracted. */
export type MadeKind = SuffixKind;

/** What can be read as a tree. */
export type TreeKind = 'archive' | 'archive-index' | 'directory';

/** What has a digest. */
export type InputKind = MadeKind | 'blob' | 'directory';

/** The kind that the suffix of a path says, if there are path and suffix. */
export function kindOfPath(path: unknown): MadeKind | undefined {
  return typeof path === 'string' ? suffixKind(path) : undefined;
}
