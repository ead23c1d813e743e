/**
 * Block tables as index files and back, a part at a time: the bytes are those of a `.caibx` whose three
 * chunk sizes are the block size (spec/formats/index.md). A table of 8 GiB in blocks of 4 KiB has
 * 64 MiB; the file has 80 MiB and is never in memory as a whole.
 */
import { DIGEST_LENGTH } from './block-digest.ts';
import { BlockTable } from './block-table.ts';
import { readSize, writeU64 } from './bytes.ts';
import { FormatError } from './errors.ts';
import {
  decodeIndexHeader,
  encodeIndexHead,
  encodeIndexTail,
  INDEX_ITEM_SIZE,
  INDEX_ITEMS_OFFSET,
} from './index-codec.ts';

const ITEMS_AT_ONCE = 16_384;

/** The file in parts, valid until the next is taken. @param featureFlags say which digest it is */
export function* encodeBlockIndex(table: BlockTable, featureFlags: bigint): Generator<Uint8Array> {
  const { blockSize, count, size } = table;
  const chunkSizes = { min: blockSize, avg: blockSize, max: blockSize };
  yield encodeIndexHead({ featureFlags, chunkSizes });
  const items = new Uint8Array(Math.min(ITEMS_AT_ONCE, count) * INDEX_ITEM_SIZE);
  for (let first = 0; first < count; first += ITEMS_AT_ONCE) {
    const here = Math.min(ITEMS_AT_ONCE, count - first);
    const digests = table.digests(first, here);
    for (let i = 0; i < here; i++) {
      writeU64(items, i * INDEX_ITEM_SIZE, Math.min(size, (first + i + 1) * blockSize));
      const digest = digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
      items.set(digest, i * INDEX_ITEM_SIZE + 8);
    }
    yield items.subarray(0, here * INDEX_ITEM_SIZE);
  }
  yield encodeIndexTail(count);
}

export interface DecodedBlockIndex {
  readonly table: BlockTable;
  readonly featureFlags: bigint;
}

/**
 * @param length of the whole file
 * @param read gives so many bytes from an offset on, valid until it is called again
 * @returns undefined for an index whose chunks are not of one size
 * @throws FormatError for what is no index
 */
export function decodeBlockIndex(
  length: number,
  read: (offset: number, length: number) => Uint8Array,
): DecodedBlockIndex | undefined {
  const { featureFlags, chunkSizes } = decodeIndexHeader(
    read(0, Math.min(length, INDEX_ITEMS_OFFSET)),
  );
  const { min, max } = chunkSizes;
  if (min !== max) return undefined;
  const count = (length - INDEX_ITEMS_OFFSET) / INDEX_ITEM_SIZE - 1;
  if (!Number.isInteger(count) || count < 0) throw damaged(length, 'the file ends early');
  const head = encodeIndexHead({ featureFlags, chunkSizes });
  expectBytes(read(0, head.length), head, 0);
  const digests = new Uint8Array(count * DIGEST_LENGTH);
  let size = 0;
  for (let first = 0; first < count; first += ITEMS_AT_ONCE) {
    const here = Math.min(ITEMS_AT_ONCE, count - first);
    const offset = INDEX_ITEMS_OFFSET + first * INDEX_ITEM_SIZE;
    const items = read(offset, here * INDEX_ITEM_SIZE);
    for (let i = 0; i < here; i++) {
      const end = readSize(items, i * INDEX_ITEM_SIZE);
      const isLast = first + i === count - 1;
      const isRight = isLast ? end > size && end <= size + max : end === size + max;
      if (!isRight) throw damaged(offset + i * INDEX_ITEM_SIZE, 'blocks must be of one size');
      size = end;
      const digest = items.subarray(i * INDEX_ITEM_SIZE + 8, (i + 1) * INDEX_ITEM_SIZE);
      digests.set(digest, (first + i) * DIGEST_LENGTH);
    }
  }
  const tail = encodeIndexTail(count);
  expectBytes(read(length - tail.length, tail.length), tail, length - tail.length);
  return { table: new BlockTable(max, size, digests), featureFlags };
}

function expectBytes(found: Uint8Array, expected: Uint8Array, offset: number): void {
  const wrong = expected.findIndex((byte, i) => found[i] !== byte);
  if (wrong >= 0) throw damaged(offset + wrong, 'not what an index has there');
}

function damaged(offset: number, expectation: string): FormatError {
  return new FormatError('index', 'TABLE', offset, expectation);
}
