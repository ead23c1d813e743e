import { createHash } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import {
  type BlobDifference,
  type ComparedBlob,
  compareBlobs,
} from '../../../lib/compare/compare-blobs.node.ts';
import {
  differentChunks,
  differentChunksOfStream,
} from '../../../lib/compare/different-chunks.node.ts';
import { equalLength } from '../../../lib/compare/equal-chunks.ts';
import type { ByteSource } from '../../../lib/read/byte-source.ts';
import { ChunkMissing } from '../../../store/errors.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { randomFrom } from '../../property/random.ts';

const LENGTH = 300_000;

/** Chunks of different lengths. */
function indexOf(bytes: Uint8Array): ChunkIndex {
  const builder = new IndexBuilder();
  for (let start = 0; start < bytes.length; ) {
    let end = Math.min(start + 2000, bytes.length);
    while (end < bytes.length && end - start < 20_000 && bytes[end] % 97 !== 0) end += 1;
    const id = createHash('sha256').update(bytes.subarray(start, end)).digest('hex') as ChunkId;
    builder.add(id, end - start);
    start = end;
  }
  return builder.finish({ featureFlags: 0n, chunkSizes: { min: 1, avg: 8192, max: 65536 } });
}

function sourceOf(bytes: Uint8Array, most: number, lost = Number.POSITIVE_INFINITY): ByteSource {
  return {
    label: 'test',
    seekable: true,
    size: bytes.length,
    async read(offset) {
      if (offset >= lost) throw new ChunkMissing({ reason: 'gone' });
      return bytes.slice(offset, Math.min(offset + most, lost));
    },
    close: async () => {},
  };
}

/** The same bytes in each form that can be compared. */
function formsOf(t: ExecutionContext, bytes: Uint8Array): Record<string, () => ComparedBlob> {
  const path = join(temporaryFolder(t), 'blob');
  writeFileSync(path, bytes);
  const descriptor = openSync(path, 'r');
  t.teardown(() => closeSync(descriptor));
  const open = () => sourceOf(bytes, 7000);
  const size = bytes.length;
  const file = { descriptor, label: 'blob' };
  return {
    file: () => ({ open, file, size, isDevice: false }),
    index: () => ({
      open: () => sourceOf(bytes, 5000),
      index: indexOf(bytes),
      size,
      isDevice: false,
    }),
    stream: () => ({ open, isDevice: false }),
  };
}

async function compare(before: ComparedBlob, after: ComparedBlob) {
  const ranges: BlobDifference[] = [];
  const onDifference = (range: BlobDifference): undefined => void ranges.push(range);
  const result = await compareBlobs(before, after, { threadCount: 0, onDifference });
  return { ranges, result };
}

/** Every byte that differs lies in a range, and each range begins and ends with such a byte. */
function checkExact(
  t: ExecutionContext,
  a: Uint8Array,
  b: Uint8Array,
  ranges: readonly BlobDifference[],
): void {
  const expected: [number, number][] = [];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    const last = expected.at(-1);
    if (last && i - last[1] < 64) last[1] = i + 1;
    else expected.push([i, i + 1]);
  }
  t.deepEqual(
    ranges.map(({ start, end }) => [start, end]),
    expected,
  );
  t.true(ranges.every(({ isExact }) => isExact));
}

function edited(bytes: Uint8Array, seed: number): Uint8Array {
  const random = randomFrom(seed);
  const other = bytes.slice();
  for (let i = 0; i < 8; i++) {
    const at = random.integer(0, bytes.length - 200);
    const length = random.integer(1, 150);
    for (let k = 0; k < length; k++) if (random.chance(0.6)) other[at + k] ^= 0x55;
  }
  const ends = [
    other,
    other.subarray(0, -random.integer(1, 30_000)),
    Buffer.concat([other, noise(999)]),
  ];
  return new Uint8Array(random.pick(ends));
}

test('files, indexes and streams differ in exactly the bytes that differ', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  for (let round = 0; round < 6; round++) {
    const a = noise(LENGTH, round + 1);
    const b = edited(a, seed + round);
    const [befores, afters] = [formsOf(t, a), formsOf(t, b)];
    for (const before of Object.values(befores)) {
      for (const after of Object.values(afters)) {
        const { ranges, result } = await compare(before(), after());
        checkExact(t, a, b, ranges);
        t.is(result.rangeCount, ranges.length);
        t.is(result.beforeSize, a.length);
        t.is(result.afterSize, b.length);
        t.is(result.hasOtherSize, a.length !== b.length);
      }
    }
  }
});

test('equal blobs do not differ in any form, and chunks of equal indexes are not read', async (t) => {
  const bytes = noise(LENGTH, 9);
  for (const before of Object.values(formsOf(t, bytes))) {
    for (const after of Object.values(formsOf(t, bytes))) {
      const { ranges, result } = await compare(before(), after());
      t.deepEqual(ranges, []);
      t.false(result.hasOtherSize);
    }
  }
  const index = indexOf(bytes);
  const size = bytes.length;
  const unreadable = { open: () => sourceOf(bytes, 1, 0), index, size, isDevice: false };
  t.deepEqual((await compare(unreadable, unreadable)).ranges, []);
});

test('without chunks whole chunks differ, and they hold all bytes that do', async (t) => {
  const a = noise(LENGTH, 3);
  const b = a.slice();
  for (const at of [10, 150_000, 150_200, 299_999]) b[at] ^= 1;
  const size = LENGTH;
  const lost = (bytes: Uint8Array, from: number): ComparedBlob => ({
    open: () => sourceOf(bytes, 3000, from),
    index: indexOf(bytes),
    size,
    isDevice: false,
  });
  for (const from of [0, 100_000, 150_100]) {
    const { ranges } = await compare(lost(a, from), lost(b, from));
    for (const at of [10, 150_000, 150_200, 299_999]) {
      const range = ranges.find(({ start, end }) => at >= start && at < end);
      t.is(range?.isExact, at < from, `byte ${at}, chunks lost from ${from} on`);
    }
    const starts = ranges.map(({ start }) => start);
    t.deepEqual(
      starts,
      [...starts].sort((x, y) => x - y),
    );
    t.true(ranges.every(({ end }, i) => end <= (ranges[i + 1]?.start ?? size)));
  }
});

test('a device may be longer than a blob, and not shorter', async (t) => {
  const bytes = noise(1000);
  const blob = (length: number, isDevice = false): ComparedBlob => ({
    open: () => sourceOf(bytes.subarray(0, length), 100),
    size: length,
    isDevice,
  });
  t.false((await compare(blob(900), blob(1000, true))).result.hasOtherSize);
  t.false((await compare(blob(1000, true), blob(900))).result.hasOtherSize);
  t.true((await compare(blob(1000), blob(900, true))).result.hasOtherSize);
  t.true((await compare(blob(1000), blob(900))).result.hasOtherSize);
});

test('the chunks that a file lacks are found by digests, with and without threads', async (t) => {
  const bytes = noise(12_000_000, 5);
  const index = indexOf(bytes);
  const other = bytes.slice(0, bytes.length - 1);
  const expected = [0, 17, 400, index.count - 1];
  for (const chunk of expected) if (chunk !== index.count - 1) other[index.start(chunk)] ^= 1;
  const path = join(temporaryFolder(t), 'blob');
  writeFileSync(path, other);
  const descriptor = openSync(path, 'r');
  t.teardown(() => closeSync(descriptor));
  for (const threadCount of [0, 2]) {
    const found: number[] = [];
    const file = { descriptor, label: 'blob' };
    for await (const chunk of differentChunks(index, file, { threadCount })) found.push(chunk);
    t.deepEqual(found, expected);
  }
  const found: number[] = [];
  const stream = sourceOf(other, 100_000);
  for await (const chunk of differentChunksOfStream(index, stream, {})) found.push(chunk);
  t.deepEqual(found, expected);
});

test('chunks that are equal at the same place tell how far two indexes agree', (t) => {
  const a = noise(50_000, 2);
  const left = indexOf(a);
  const builder = new IndexBuilder();
  builder.add('00'.repeat(32) as ChunkId, 3000);
  for (let i = 0; i < left.count; i++) builder.add(left.id(i), left.size(i));
  const right = builder.finish(left);
  const whole = (index: ChunkIndex, offset: number) => ({ index, offset });
  t.is(equalLength(whole(left, 100), whole(left, 100), 49_900), 49_900);
  t.is(equalLength(whole(left, 0), whole(left, 1), 100), 0);
  t.is(equalLength(whole(left, 0), whole(left, 0), 999_999), 50_000);
  const start = left.start(4);
  t.is(equalLength(whole(left, start), whole(right, start + 3000), 50_000 - start), 50_000 - start);
});
