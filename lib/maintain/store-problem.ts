/** What can be wrong with a store. Told by its check. */
import type { ChunkId } from '../../formats/chunk-id.ts';

export type StoreProblemKind =
  /** There, but not what its name says. */
  | 'damaged'
  /** Wanted by an index, and in no store. */
  | 'missing'
  /** The storage refused or failed; nothing is known about the content. */
  | 'unreadable'
  /** A chunk in a folder where nobody looks for it. */
  | 'misplaced'
  /** Neither a chunk nor anything else of a store. */
  | 'foreign';

export interface StoreProblem {
  readonly kind: StoreProblemKind;
  readonly reason: string;
  readonly id?: ChunkId;
  /** Below the store, where the problem was found by looking through its folders. */
  readonly path?: string;
}
