/** An extracted object on its way to its recorded attributes. Shared by the files that apply them. */
import type { CatarNode } from '../../formats/catar-events.ts';

/** An object whose content is complete. */
export interface Restored {
  /** Open for reading or writing, or for its attributes only (O_PATH). */
  readonly fd: number;
  readonly node: CatarNode;
  /** It was there before, with attributes of its own. */
  readonly existed: boolean;
  /** It may have got an ACL from the directory it was made in. */
  readonly inheritsAcl: boolean;
}
