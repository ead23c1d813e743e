/**
 * Index files (caibx, caidx) <-> ChunkIndex: a header record, then a table of 40-byte items that ends
 * with a tail of the same size. Layout and checks: spec/formats/index.md.
 */
import { readSize, readU64, U64_MAX, writeU64 } from './bytes.ts';
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from './chunk-id.ts';
import { ChunkIndex, type IndexHeader } from './chunk-index.ts';
import { validChunkSizes } from './chunk-sizes.ts';
import { DEFAULT_DECODE_LIMITS, type DecodeLimits } from './decode-limits.ts';
import { FormatError } from './errors.ts';
import { checkFlags } from './feature-flags.ts';
import { RECORD_HEADER_SIZE, RECORD_TYPES, TABLE_TAIL_MARKER } from './record-types.ts';

/** Bytes that an index begins with: what it says besides its chunks. */
export const INDEX_HEADER_SIZE = 48;
const TABLE_OFFSET = INDEX_HEADER_SIZE;
/** Where its chunks begin, and how long each of them and what follows them is: end and id. */
export const INDEX_ITEMS_OFFSET = TABLE_OFFSET + RECORD_HEADER_SIZE;
export const INDEX_ITEM_SIZE = 40;

function failure(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('index', record, offset, expectation);
}

/**
 * The index as a file.
 * @throws FormatError if no reader would accept it, for example for a chunk above the maximum size
 */
export function encodeIndex(index: ChunkIndex): Uint8Array {
  const head = encodeIndexHead(index);
  const tailOffset = INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * index.count;
  const bytes = new Uint8Array(tailOffset + INDEX_ITEM_SIZE);
  bytes.set(head);
  for (let i = 0; i < index.count; i++) {
    const offset = INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * i;
    checkEnd(index.end(i), index.start(i), i, index.chunkSizes.max);
    writeU64(bytes, offset, index.end(i));
    bytes.set(index.idBytes(i), offset + 8);
  }
  bytes.set(encodeIndexTail(index.count), tailOffset);
  return bytes;
}

/** What stands before the chunks of an index. @throws FormatError as {@link encodeIndex} */
export function encodeIndexHead(header: IndexHeader): Uint8Array {
  checkHeader(header, DEFAULT_DECODE_LIMITS);
  const bytes = new Uint8Array(INDEX_ITEMS_OFFSET);
  const { min, avg, max } = header.chunkSizes;
  [INDEX_HEADER_SIZE, RECORD_TYPES.INDEX, header.featureFlags, min, avg, max].forEach(
    (value, i) => {
      writeU64(bytes, 8 * i, value);
    },
  );
  writeU64(bytes, TABLE_OFFSET, U64_MAX);
  writeU64(bytes, TABLE_OFFSET + 8, RECORD_TYPES.TABLE);
  return bytes;
}

/** One chunk of an index. @param end offset of the byte behind it in the stream, above the one before */
export function encodeIndexItem(id: ChunkId, end: number): Uint8Array {
  const bytes = new Uint8Array(INDEX_ITEM_SIZE);
  writeU64(bytes, 0, end);
  writeChunkId(id, bytes, 8);
  return bytes;
}

/** What ends an index of so many chunks. */
export function encodeIndexTail(count: number): Uint8Array {
  const bytes = new Uint8Array(INDEX_ITEM_SIZE);
  writeU64(bytes, 16, INDEX_HEADER_SIZE);
  writeU64(bytes, 24, INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * (count + 1) - TABLE_OFFSET);
  writeU64(bytes, 32, TABLE_TAIL_MARKER);
  return bytes;
}

/**
 * Reads an index file and checks all that can be checked without its chunks.
 * @param bytes the whole file; not kept
 * @throws FormatError
 */
export function decodeIndex(
  bytes: Uint8Array,
  limits: DecodeLimits = DEFAULT_DECODE_LIMITS,
): ChunkIndex {
  const header = decodeIndexHeader(bytes, limits);
  expectLength(bytes, 'TABLE', INDEX_ITEMS_OFFSET);
  if (readU64(bytes, TABLE_OFFSET) !== U64_MAX) {
    throw failure('TABLE', TABLE_OFFSET, 'the size field must be 2^64-1');
  }
  if (readU64(bytes, TABLE_OFFSET + 8) !== RECORD_TYPES.TABLE) {
    throw failure('TABLE', TABLE_OFFSET + 8, 'wrong record type');
  }
  const count = countItems(bytes);
  if (count > limits.maxChunkCount) {
    throw failure('TABLE', INDEX_ITEMS_OFFSET, `more than ${limits.maxChunkCount} chunks`);
  }
  return decodeItems(bytes, header, count);
}

function expectLength(bytes: Uint8Array, record: string, length: number): void {
  if (bytes.length < length) throw failure(record, bytes.length, 'the file ends early');
}

/**
 * Reads what an index file begins with.
 * @param bytes the file as far as it is there: at least {@link INDEX_HEADER_SIZE} bytes
 * @throws FormatError
 */
export function decodeIndexHeader(
  bytes: Uint8Array,
  limits: DecodeLimits = DEFAULT_DECODE_LIMITS,
): IndexHeader {
  expectLength(bytes, 'INDEX', INDEX_HEADER_SIZE);
  if (readSize(bytes, 0) !== INDEX_HEADER_SIZE) {
    throw failure('INDEX', 0, `the size field must be ${INDEX_HEADER_SIZE}`);
  }
  if (readU64(bytes, 8) !== RECORD_TYPES.INDEX) {
    throw failure('INDEX', 8, 'wrong record type; this is no casync index');
  }
  const header = {
    featureFlags: readU64(bytes, 16),
    chunkSizes: {
      min: readSize(bytes, 24),
      avg: readSize(bytes, 32),
      max: readSize(bytes, 40),
    },
  };
  checkHeader(header, limits);
  return header;
}

function checkHeader({ featureFlags, chunkSizes }: IndexHeader, limits: DecodeLimits): void {
  checkFlags(featureFlags, (expectation) => failure('INDEX', 16, expectation));
  if (!validChunkSizes(chunkSizes, limits.maxChunkSize)) {
    throw failure(
      'INDEX',
      24,
      `chunk sizes must be 1 <= min <= avg <= max <= ${limits.maxChunkSize}`,
    );
  }
}

/** @param end of chunk `i`, which begins at `start` */
function checkEnd(end: number, start: number, i: number, maxChunkSize: number): void {
  const fail = (expectation: string) =>
    failure(`item ${i}`, INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * i, expectation);
  if (end === 0) throw fail('end of chunk is 0, or a damaged tail');
  if (end > Number.MAX_SAFE_INTEGER) throw fail('end of chunk too large');
  if (end <= start) throw fail('ends of chunks must rise');
  if (end - start > maxChunkSize) {
    throw fail('the chunk is larger than the maximum chunk size');
  }
}

/** A block is the tail exactly if all five fields say so for its place; otherwise it is an item. */
function isTail(bytes: Uint8Array, offset: number): boolean {
  return (
    readSize(bytes, offset) === 0 &&
    readSize(bytes, offset + 8) === 0 &&
    readU64(bytes, offset + 32) === TABLE_TAIL_MARKER &&
    readSize(bytes, offset + 16) === INDEX_HEADER_SIZE &&
    readSize(bytes, offset + 24) === offset + INDEX_ITEM_SIZE - TABLE_OFFSET
  );
}

/** Items before the tail, which must be the end of the file. */
function countItems(bytes: Uint8Array): number {
  const last = bytes.length - INDEX_ITEM_SIZE;
  let offset = INDEX_ITEMS_OFFSET;
  while (offset <= last && !isTail(bytes, offset)) offset += INDEX_ITEM_SIZE;
  if (offset > last) {
    // An item that breaks the rules explains a missing tail better than the missing tail does.
    return Math.floor((bytes.length - INDEX_ITEMS_OFFSET) / INDEX_ITEM_SIZE);
  }
  if (offset < last)
    throw failure('TABLE', offset + INDEX_ITEM_SIZE, 'nothing may follow the tail');
  return (offset - INDEX_ITEMS_OFFSET) / INDEX_ITEM_SIZE;
}

function decodeItems(bytes: Uint8Array, header: IndexHeader, count: number): ChunkIndex {
  const ends = new Float64Array(count);
  const ids = new Uint8Array(count * CHUNK_ID_LENGTH);
  let start = 0;
  for (let i = 0; i < count; i++) {
    const offset = INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * i;
    const end = readSize(bytes, offset);
    checkEnd(end, start, i, header.chunkSizes.max);
    ends[i] = end;
    ids.set(bytes.subarray(offset + 8, offset + INDEX_ITEM_SIZE), i * CHUNK_ID_LENGTH);
    start = end;
  }
  if (bytes.length !== INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * (count + 1)) {
    throw failure('TABLE', bytes.length, 'the file ends early');
  }
  return new ChunkIndex(header, ends, ids);
}
