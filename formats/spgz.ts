/**
 * Files of spgz: compressed images that can be read at any place. A header, then a slot of fixed size for
 * every block, which holds it plain or as one gzip member; the rest of a slot is a hole. Read by
 * lib/images/bridges/spgz-source.node.ts. Implements spec/bridges.md, "spgz".
 */
import { readU32 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Bytes of the header that say something; slots begin at {@link SLOTS_OFFSET}. */
export const SPGZ_HEAD_LENGTH = 12;
const SLOTS_OFFSET = 4096;

const FORMAT = 'spgz';
const MAGIC = Uint8Array.from('SPGZ0001', (letter) => letter.charCodeAt(0));
const UNIT = 4096;
/** spgz itself makes no smaller slots; ours is the upper bound. */
const FEWEST_UNITS = 3;
const MOST_UNITS = 16_384;
const PLAIN = 0;
const GZIP = 1;

export interface SpgzLayout {
  /** Bytes of a slot in the file. */
  readonly slotSize: number;
  /** Bytes of the image that a slot is for: one fewer. */
  readonly blockSize: number;
}

/**
 * @param head the first bytes of a file, {@link SPGZ_HEAD_LENGTH} if there are as many
 * @returns undefined if it is no file of spgz
 * @throws FormatError for one with slots of an impossible size
 */
export function decodeSpgzHead(head: Uint8Array): SpgzLayout | undefined {
  if (head.length < SPGZ_HEAD_LENGTH) return undefined;
  if (MAGIC.some((byte, i) => head[i] !== byte)) return undefined;
  const units = readU32(head, MAGIC.length);
  if (units < FEWEST_UNITS || units > MOST_UNITS) {
    const expectation = `slots of ${FEWEST_UNITS * UNIT} to ${MOST_UNITS * UNIT} bytes expected`;
    throw new FormatError(FORMAT, 'header', MAGIC.length, expectation);
  }
  return { slotSize: units * UNIT, blockSize: units * UNIT - 1 };
}

/** Number of the slot that tells how long the image is: it is shorter than the others, or empty. */
export function lastSpgzSlot(fileSize: number, { slotSize }: SpgzLayout): number {
  return Math.floor(Math.max(0, fileSize - SLOTS_OFFSET) / slotSize);
}

/** Where a slot begins in the file. */
export function spgzSlotOffset(slot: number, { slotSize }: SpgzLayout): number {
  return SLOTS_OFFSET + slot * slotSize;
}

export interface SpgzSlot {
  readonly isCompressed: boolean;
  /** A block, or a gzip member with anything behind it; a view of the slot. */
  readonly content: Uint8Array;
}

/** @param slot at least one byte @param offset of it in the file @throws FormatError */
export function decodeSpgzSlot(slot: Uint8Array, offset: number): SpgzSlot {
  const kind = slot[0];
  if (kind !== PLAIN && kind !== GZIP) {
    throw new FormatError(FORMAT, 'slot', offset, 'a plain or compressed block expected');
  }
  return { isCompressed: kind === GZIP, content: slot.subarray(1) };
}
