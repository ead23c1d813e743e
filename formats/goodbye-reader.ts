/**
 * Fields of goodbye tables and names of children, read at any place of an archive: for looking up
 * paths without reading what comes before (spec/formats/catar.md, "GOODBYE").
 */
import { readSize, readU32, readU64 } from './bytes.ts';
import { fileNameFault } from './catar-fields.ts';
import { textOf } from './catar-node-decoder.ts';
import { GOODBYE_TAIL_SIZE, isGoodbyeSize } from './catar-records.ts';
import type { DecodeLimits } from './decode-limits.ts';
import { FormatError } from './errors.ts';
import { GOODBYE_TAIL_MARKER, RECORD_HEADER_SIZE, RECORD_TYPES } from './record-types.ts';
import type { Hash64 } from './siphash.ts';

/** Where the table of a folder lies, as its last bytes say. */
export interface GoodbyeTable {
  /** Archive offset of the record. */
  readonly offset: number;
  readonly itemCount: number;
  /** Archive offset of the folder's ENTRY. */
  readonly entryOffset: number;
}

/** One child as the table describes it; nothing of it is verified. */
export interface GoodbyeItem {
  /** Archive offset of the child's FILENAME. */
  readonly offset: number;
  /** Archive offset behind the child. */
  readonly end: number;
  readonly hash: Hash64;
}

export const GOODBYE_ITEM_SIZE = 24;
const SMALLEST_TABLE = RECORD_HEADER_SIZE + GOODBYE_TAIL_SIZE;

/**
 * Reads the last bytes of a folder.
 * @param tail of {@link GOODBYE_TAIL_SIZE} bytes
 * @param end archive offset behind them
 * @throws FormatError if no table can end there
 */
export function decodeGoodbyeTail(tail: Uint8Array, end: number): GoodbyeTable {
  const size = readSize(tail, 8);
  const offset = end - size;
  const entryOffset = offset - readSize(tail, 0);
  const isTable =
    readU64(tail, 16) === GOODBYE_TAIL_MARKER &&
    size >= SMALLEST_TABLE &&
    isGoodbyeSize(size) &&
    entryOffset >= 0 &&
    entryOffset < offset;
  if (!isTable) {
    throw new FormatError(
      'catar',
      'GOODBYE',
      end - GOODBYE_TAIL_SIZE,
      'expected the end of a table',
    );
  }
  const itemCount = (size - SMALLEST_TABLE) / GOODBYE_ITEM_SIZE;
  return { offset, itemCount, entryOffset };
}

/**
 * Checks that a table that ends at `end` begins with its own header.
 * @param header of {@link RECORD_HEADER_SIZE} bytes, at the table's offset
 * @throws FormatError if not
 */
export function checkGoodbyeHeader(header: Uint8Array, table: GoodbyeTable, end: number): void {
  const isGoodbye = readU64(header, 8) === RECORD_TYPES.GOODBYE;
  if (isGoodbye && readSize(header, 0) === end - table.offset) return;
  throw new FormatError('catar', 'GOODBYE', table.offset, 'expected the begin of the table');
}

/** Archive offset of the item at a place of the table. */
export function goodbyeItemOffset(table: GoodbyeTable, place: number): number {
  return table.offset + RECORD_HEADER_SIZE + place * GOODBYE_ITEM_SIZE;
}

/** @param item of {@link GOODBYE_ITEM_SIZE} bytes */
export function decodeGoodbyeItem(table: GoodbyeTable, item: Uint8Array): GoodbyeItem {
  const offset = table.offset - readSize(item, 0);
  const hash = { low: readU32(item, 16), high: readU32(item, 20) };
  return { offset, end: offset + readSize(item, 8), hash };
}

/**
 * Size of the FILENAME record whose header this is.
 * @param offset in the archive, for messages
 * @throws FormatError if it is another record or too long
 */
export function fileNameSize(header: Uint8Array, offset: number, limits: DecodeLimits): number {
  const size = readSize(header, 0);
  const isName = readU64(header, 8) === RECORD_TYPES.FILENAME;
  if (isName && size > RECORD_HEADER_SIZE + 1) {
    if (size <= RECORD_HEADER_SIZE + limits.maxNameLength + 1) return size;
  }
  throw new FormatError('catar', 'FILENAME', offset, 'expected the name of a child');
}

/**
 * @param record the complete FILENAME record
 * @param offset in the archive, for messages
 * @throws FormatError if it is no name
 */
export function decodeFileName(record: Uint8Array, offset: number): Uint8Array {
  const body = { bytes: record, start: RECORD_HEADER_SIZE, end: record.length };
  const name = textOf(body, RECORD_HEADER_SIZE);
  const fault = name === undefined ? 'a name that ends with NUL' : fileNameFault(name);
  if (name !== undefined && fault === undefined) return name;
  throw new FormatError('catar', 'FILENAME', offset, `expected ${fault}`);
}
