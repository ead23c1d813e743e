/** An extracted object on its way to its recorded attributes. Shared by the files that apply them. */
import type { CatarNode } from '../../formats/catar-events.ts';

/** A new object whose content is complete. */
export interface Restored {
  /** Open for reading or writing, or for its attributes only (O_PATH). */
  readonly fd: number;
  readonly node: CatarNode;
  /** It may have got an ACL from the directory it was made in. */
  readonly inheritsAcl: boolean;
}
