import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { concatBytes, equalBytes, readSize, writeU64 } from '../../formats/bytes.ts';
import { type ChunkId, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../formats/chunk-index.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { FormatError } from '../../formats/errors.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import {
  decodeIndex,
  encodeIndex,
  encodeIndexHead,
  encodeIndexItem,
  encodeIndexTail,
} from '../../formats/index-codec.ts';
import { GOLDEN, golden } from '../helpers/golden.ts';

const INDEXES = ['blob-index', 'tree'].flatMap((folder) =>
  readdirSync(join(GOLDEN, folder))
    .filter((name) => /\.ca[ib][bd]?x$/.test(name))
    .map((name) => join(folder, name)),
);

const DAMAGED = 'invalid/caibx';

/** Indexes that are sound in themselves and fail only when their chunks are read. */
const FAILING_LATER: ReadonlySet<string> = new Set([
  '014-flags-flags-zero-sha256.caibx',
  '015-flags-sha256-flag-cleared.caibx',
  '026-first-offset-1-chunk-size-mismatch.caibx',
]);

const HEADER = {
  featureFlags: FEATURE.sha512_256,
  chunkSizes: { min: 16, avg: 64, max: 256 },
};

/** A sound index with chunks of these sizes. */
function indexOf(sizes: readonly number[], header = HEADER): ChunkIndex {
  const builder = new IndexBuilder();
  sizes.forEach((size, i) => {
    builder.add(chunkIdFromBytes(new Uint8Array(32).fill(i + 1)), size);
  });
  return builder.finish(header);
}

const SMALL = encodeIndex(indexOf([100, 1, 256]));

/** The refusal of these bytes. */
function refusalOf(bytes: Uint8Array): FormatError | undefined {
  try {
    decodeIndex(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}

/** `SMALL` with one 64-bit field replaced. */
function withField(offset: number, value: bigint | number): Uint8Array {
  const bytes = SMALL.slice();
  writeU64(bytes, offset, value);
  return bytes;
}

test('indexes of the original decode and encode to the same bytes', (t) => {
  t.true(INDEXES.length > 35, `${INDEXES.length}`);
  for (const name of INDEXES) {
    const bytes = golden(name);
    t.deepEqual(encodeIndex(decodeIndex(bytes)), bytes, name);
  }
});

test('damaged indexes are refused exactly where the original refuses them', (t) => {
  const rows = new TextDecoder().decode(golden(join(DAMAGED, 'expected.tsv'))).split('\n');
  const cases = rows.filter((row) => row !== '' && !row.startsWith('#'));
  t.is(cases.length, 40);
  for (const row of cases) {
    const [name, result, message] = row.split('\t');
    const refusal = refusalOf(golden(join(DAMAGED, name)));
    t.is(refusal !== undefined, result === 'error' && !FAILING_LATER.has(name), name);
    const endsEarly = message.endsWith('Broken pipe');
    t.is(refusal?.reason === 'the file ends early', endsEarly, `${name}: ${refusal?.message}`);
  }
});

test('an index says what it was built from', (t) => {
  const index = decodeIndex(SMALL);
  t.is(index.featureFlags, HEADER.featureFlags);
  t.deepEqual(index.chunkSizes, HEADER.chunkSizes);
  t.is(index.digest, 'sha512-256');
  t.deepEqual(
    [0, 1, 2].map((i) => index.size(i)),
    [100, 1, 256],
  );
  t.is(index.id(1), '02'.repeat(32) as ChunkId);
});

test('an empty index has 104 bytes', (t) => {
  const bytes = encodeIndex(indexOf([]));
  t.is(bytes.length, 104);
  t.is(decodeIndex(bytes).totalSize, 0);
});

test('every truncation is said to end early', (t) => {
  for (let length = 0; length < SMALL.length; length++) {
    t.is(refusalOf(SMALL.subarray(0, length))?.reason, 'the file ends early', `${length}`);
  }
});

test('every flipped bit is refused or kept', (t) => {
  for (let bit = 0; bit < 8 * SMALL.length; bit++) {
    const bytes = SMALL.slice();
    bytes[bit >> 3] ^= 1 << (bit & 7);
    if (refusalOf(bytes)) continue;
    t.true(equalBytes(encodeIndex(decodeIndex(bytes)), bytes), `bit ${bit}`);
  }
});

test('random damage is refused or kept', (t) => {
  const offset = fc.nat({ max: SMALL.length / 8 - 1 });
  const change = fc.tuple(offset, fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat()));
  const law = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
    const bytes = SMALL.slice();
    for (const [field, value] of changes) writeU64(bytes, 8 * field, value);
    return refusalOf(bytes) !== undefined || equalBytes(encodeIndex(decodeIndex(bytes)), bytes);
  });
  t.notThrows(() => fc.assert(law, { numRuns: 1000 }));
});

test('whatever is built decodes to the same index', (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 256 }), { maxLength: 50 });
  const law = fc.property(sizes, (all) => {
    const index = decodeIndex(encodeIndex(indexOf(all)));
    return index.count === all.length && all.every((size, i) => index.size(i) === size);
  });
  t.notThrows(() => fc.assert(law));
});

test('a refusal names record and byte', (t) => {
  const places: readonly (readonly [bytes: Uint8Array, record: string, offset: number])[] = [
    [withField(0, 49), 'INDEX', 0],
    [withField(8, 1), 'INDEX', 8],
    [withField(16, FEATURE.subvolumeReadOnly), 'INDEX', 16],
    [withField(24, 0), 'INDEX', 24],
    [withField(48, 176), 'TABLE', 48],
    [withField(56, 1), 'TABLE', 56],
    [withField(64 + 40, 100), 'item 1', 104],
    [withField(64 + 80, 358), 'item 2', 144],
    [withField(SMALL.length - 8, 1), 'item 3', 184],
    [Uint8Array.of(...SMALL, 0), 'TABLE', SMALL.length],
  ];
  for (const [bytes, record, offset] of places) {
    const refusal = refusalOf(bytes);
    t.deepEqual([refusal?.format, refusal?.record, refusal?.offset], ['index', record, offset]);
  }
});

test('an end of 2^53 or more is refused, whatever the item before it', (t) => {
  t.is(refusalOf(withField(64, 2n ** 53n))?.reason, 'end of chunk too large');
  t.is(refusalOf(withField(64, 2n ** 64n - 1n))?.reason, 'end of chunk too large');
});

test('limits hold where they are stricter than the format', (t) => {
  const limited = (limits: object) => () =>
    decodeIndex(SMALL, { ...DEFAULT_DECODE_LIMITS, ...limits });
  t.throws(limited({ maxChunkCount: 2 }), { instanceOf: FormatError });
  t.throws(limited({ maxChunkSize: 255 }), { instanceOf: FormatError });
  t.notThrows(limited({ maxChunkCount: 3, maxChunkSize: 256 }));
});

test('what no reader would accept is not written', (t) => {
  const refuses = (index: ChunkIndex) =>
    t.throws(() => encodeIndex(index), { instanceOf: FormatError });
  refuses(indexOf([257]));
  refuses(indexOf([1, 0]));
  refuses(indexOf([1], { ...HEADER, featureFlags: 1n << 40n }));
  refuses(indexOf([1], { ...HEADER, chunkSizes: { min: 2, avg: 1, max: 3 } }));
});

test('time grows with the number of chunks and no faster', (t) => {
  const timeOf = (count: number): number => {
    const bytes = encodeIndex(indexOf(new Array<number>(count).fill(1)));
    const start = performance.now();
    t.is(decodeIndex(bytes).count, count);
    return performance.now() - start;
  };
  timeOf(50_000);
  t.true(timeOf(800_000) < 64 * timeOf(50_000) + 200);
});

test('the size in the tail is that of the table', (t) => {
  t.is(readSize(SMALL, SMALL.length - 16), SMALL.length - 48);
});

test('the parts of an index, made one after the other, are the index', (t) => {
  const index = indexOf([100, 1, 256]);
  const items = [0, 1, 2].map((i) => encodeIndexItem(index.id(i), index.end(i)));
  const parts = [encodeIndexHead(HEADER), ...items, encodeIndexTail(3)];
  t.deepEqual(concatBytes(parts), SMALL);
});
