/**
 * The goodbye table: the record that ends a directory and lets a reader find a name in it without
 * reading the rest. Used by the catar serializer. Implements spec/formats/catar.md, "GOODBYE".
 */
import { writeU32, writeU64 } from './bytes.ts';
import type { GoodbyeColumns } from './goodbye-columns.ts';
import { GOODBYE_TAIL_MARKER, RECORD_HEADER_SIZE, RECORD_TYPES } from './record-types.ts';
import { type Hash64, sipHasher } from './siphash.ts';

/** The key under which casync hashes file names. */
const NAME_KEY = Uint8Array.of(
  ...[0xb3, 0x84, 0x1d, 0x0f, 0x2b, 0x44, 0x74, 0x85],
  ...[0xc1, 0x2e, 0xc2, 0xd1, 0x30, 0xed, 0x36, 0x27],
);

const ITEM_SIZE = 24;

/** The hash by which the table finds a file name (given without terminator). */
export const hashName: (name: Uint8Array) => Hash64 = sipHasher(NAME_KEY);

/**
 * The complete GOODBYE record of a directory.
 * @param children in archive order
 * @param goodbyeOffset archive offset at which this record will begin
 * @param entryOffset archive offset of the directory's ENTRY record
 */
export function encodeGoodbye(
  children: GoodbyeColumns,
  goodbyeOffset: number,
  entryOffset: number,
): Uint8Array {
  const size = RECORD_HEADER_SIZE + ITEM_SIZE * (children.count + 1);
  const record = new Uint8Array(size);
  writeU64(record, 0, size);
  writeU64(record, 8, RECORD_TYPES.GOODBYE);
  const sorted = sortedByHash(children);
  let offset = RECORD_HEADER_SIZE;
  for (const rank of goodbyeOrder(children.count)) {
    const child = sorted[rank];
    writeU64(record, offset, goodbyeOffset - children.filenameOffset(child));
    writeU64(record, offset + 8, children.size(child));
    writeU32(record, offset + 16, children.hashLow(child));
    writeU32(record, offset + 20, children.hashHigh(child));
    offset += ITEM_SIZE;
  }
  writeU64(record, offset, goodbyeOffset - entryOffset);
  writeU64(record, offset + 8, size);
  writeU64(record, offset + 16, GOODBYE_TAIL_MARKER);
  return record;
}

/** Numbers of the children in the order of their hashes; equal hashes stay in archive order. */
function sortedByHash(children: GoodbyeColumns): Uint32Array {
  const numbers = Uint32Array.from({ length: children.count }, (_, number) => number);
  return numbers.sort(
    (a, b) =>
      children.hashHigh(a) - children.hashHigh(b) ||
      children.hashLow(a) - children.hashLow(b) ||
      a - b,
  );
}

/**
 * Which of `count` sorted items stands at each place of the table. The table is a complete binary
 * search tree laid out level by level: the children of place i are at 2i+1 and 2i+2, and walking
 * the tree in order meets the items in sorted order.
 */
function goodbyeOrder(count: number): Uint32Array {
  const order = new Uint32Array(count);
  let place = leftmost(0, count);
  for (let rank = 0; rank < count; rank++) {
    order[place] = rank;
    place = successor(place, count);
  }
  return order;
}

/** The first place, in order, of the subtree at `place`. */
function leftmost(place: number, count: number): number {
  while (2 * place + 1 < count) place = 2 * place + 1;
  return place;
}

/** The place that follows in order. */
function successor(place: number, count: number): number {
  const right = 2 * place + 2;
  if (right < count) return leftmost(right, count);
  // Climb out of all subtrees that end here: right children have even places.
  while (place > 0 && place % 2 === 0) place = place / 2 - 1;
  return (place - 1) / 2;
}
