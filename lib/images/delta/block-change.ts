/**
 * What happens to one block: the unit in which deltas of blocks are merged, checked, applied and
 * written. One object is used again and again, so that millions of them cost nothing.
 */
import { equalBytes } from '../../../formats/bytes.ts';
import { NEW, type NewState, OLD, type OldState } from '../../../formats/delta-blocks.ts';

export interface BlockChange {
  /** Number of the block. */
  readonly block: number;
  readonly old: OldState;
  /** 32 bytes if the old state is `digest`. */
  readonly oldDigest: Uint8Array;
  readonly new: NewState;
  /** 32 bytes if the new state is `data`. */
  readonly newDigest: Uint8Array;
  /** Of the block then. */
  readonly bytes: Uint8Array;
}

export const NOTHING = new Uint8Array(0);

/** Whether what one delta leaves is what the next one expects. */
export function follows(newer: BlockChange, older: BlockChange): boolean {
  if (newer.old === OLD.unknown) return older.new !== NEW.absent;
  if (newer.old === OLD.absent) return older.new === NEW.absent;
  if (newer.old === OLD.zeros) return older.new === NEW.zeros;
  return older.new === NEW.data && equalBytes(newer.oldDigest, older.newDigest);
}
