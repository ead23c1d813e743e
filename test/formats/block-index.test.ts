/** Tables as index files (spec/formats/index.md), the same bytes as the index codec has for them. */

import test from 'ava';
import fc from 'fast-check';
import { decodeBlockIndex, encodeBlockIndex } from '../../formats/block-index.ts';
import { BlockTable } from '../../formats/block-table.ts';
import { ChunkIndex } from '../../formats/chunk-index.ts';
import { FormatError } from '../../formats/errors.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { decodeIndex, encodeIndex } from '../../formats/index-codec.ts';
import { noise } from '../helpers/golden.ts';

function tableOf(size: number, blockSize: number): BlockTable {
  return new BlockTable(blockSize, size, noise(Math.ceil(size / blockSize) * 32, size + 1));
}

function bytesOf(table: BlockTable, flags = 0n): Buffer {
  const parts: Buffer[] = [];
  for (const part of encodeBlockIndex(table, flags)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

const decode = (bytes: Buffer) =>
  decodeBlockIndex(bytes.length, (offset, length) => bytes.subarray(offset, offset + length));

test('a table is the index that the index codec makes of its blocks, and comes back', (t) => {
  fc.assert(
    fc.property(fc.nat(300_000), fc.integer({ min: 1, max: 70_000 }), (size, blockSize) => {
      fc.pre(size / blockSize < 20_000);
      const table = tableOf(size, blockSize);
      const ends = Float64Array.from({ length: table.count }, (_, i) =>
        Math.min(size, (i + 1) * blockSize),
      );
      const chunkSizes = { min: blockSize, avg: blockSize, max: blockSize };
      const header = { featureFlags: FEATURE.sha512_256, chunkSizes };
      const bytes = bytesOf(table, FEATURE.sha512_256);
      t.true(bytes.equals(encodeIndex(new ChunkIndex(header, ends, table.digests()))));
      const decoded = decode(bytes);
      t.is(decoded?.featureFlags, FEATURE.sha512_256);
      t.is(decoded?.table.size, size);
      t.deepEqual(decoded?.table.digests(), table.digests());
    }),
    { numRuns: 60 },
  );
});

test('more blocks than are written at a time', (t) => {
  const table = tableOf(40_000, 1);
  t.deepEqual(decode(bytesOf(table))?.table.digests(), table.digests());
});

test('an index of chunks of several sizes is no table', (t) => {
  const chunkSizes = { min: 1, avg: 5, max: 10 };
  const index = new ChunkIndex(
    { featureFlags: 0n, chunkSizes },
    Float64Array.of(3, 9),
    noise(64, 1),
  );
  t.is(decode(Buffer.from(encodeIndex(index))), undefined);
});

test('an index that is cut anywhere is refused', (t) => {
  const bytes = bytesOf(tableOf(35, 10));
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decode(bytes.subarray(0, length)), { instanceOf: FormatError }, `${length}`);
  }
});

test('with any bit flipped it is refused, or what the index codec reads', (t) => {
  const bytes = bytesOf(tableOf(35, 10));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] ^= 1 << (bit & 7);
    const read = attempt(() => decode(flipped));
    if (read === undefined) continue;
    const index = decodeIndex(flipped);
    t.is(read.table.size, index.totalSize, `bit ${bit}`);
    t.deepEqual(read.table.digests(), index.digestsOf([0, 1, 2, 3].slice(0, index.count)));
  }
});

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
