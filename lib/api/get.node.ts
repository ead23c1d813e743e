/** `get` of the library: the bytes behind an index, as they are (spec/api.md, "get"). */
import type { ExtractStatistics } from '../statistics.ts';
import { type ExtractOptions, extract } from './extract.node.ts';

export interface GetOptions
  extends Omit<
    ExtractOptions,
    'kind' | 'subtree' | 'delete' | 'hardlink' | 'undoImmutable' | 'uidShift' | 'onEntry'
  > {}

export interface GetResult {
  readonly statistics: ExtractStatistics;
}

/**
 * Puts together the blob behind a blob index, or the archive behind an archive index, which is not
 * unpacked.
 * @throws CasError `USAGE`, `ABORTED`, and what reading and writing throw
 */
export async function get(options: GetOptions): Promise<GetResult> {
  const { statistics } = await extract({ ...options, kind: 'blob-index' });
  return { statistics };
}
