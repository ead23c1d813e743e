import { closeSync, ftruncateSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { scanEnds } from '../../../lib/chunking/stitch.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { type LocalStoreDescription, openLocalStore } from '../../../lib/local-store.node.ts';
import { segmentsOfFile } from '../../../lib/make/blob.node.ts';
import { type SegmentSource, segmentsOfStream } from '../../../lib/make/segment.ts';
import { type StoredStream, StreamStorer } from '../../../lib/make/store-stream.node.ts';
import type { ChunkStore } from '../../../store/chunk-store.ts';
import { StorageError } from '../../../store/errors.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const digest = createDigest('sha512-256');
const featureFlags = FEATURE.sha512_256;
const SIZES: ChunkSizes = { min: 64, avg: 256, max: 1024 };
const SEGMENT_LENGTH = 4096;

interface MemoryStore extends ChunkStore {
  readonly chunks: Map<ChunkId, Uint8Array>;
  flushCount: number;
}

function memoryStore(): MemoryStore {
  const chunks = new Map<ChunkId, Uint8Array>();
  const store: MemoryStore = {
    label: 'memory',
    chunks,
    flushCount: 0,
    has: async (id) => chunks.has(id),
    get: async (id) => chunks.get(id) ?? new Uint8Array(0),
    async put(id, plain) {
      if (chunks.has(id)) return 'present';
      chunks.set(id, plain.slice());
      return 'stored';
    },
    async flush() {
      store.flushCount += 1;
    },
    close: async () => {},
  };
  return store;
}

function describe(folder: string): LocalStoreDescription {
  const digests = ['sha512-256'] as const;
  return { folder, digests, compression: 'zstd', suffix: '.cacnk', sync: 'none' };
}

async function storeWith(
  source: SegmentSource,
  store: ChunkStore | LocalStoreDescription,
  options: { readonly threadCount?: number; readonly chunkSizes?: ChunkSizes } = {},
): Promise<StoredStream> {
  const { threadCount = 0, chunkSizes = SIZES } = options;
  const header = { featureFlags, chunkSizes };
  const storer = new StreamStorer({ store, header, threadCount, segmentLength: SEGMENT_LENGTH });
  try {
    return await storer.store(source);
  } finally {
    await storer.close();
  }
}

function* portions(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  // One buffer for all of them: a piece is valid until the next is taken.
  const buffer = new Uint8Array(Math.max(...lengths));
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const piece = bytes.subarray(offset, offset + lengths[i % lengths.length]);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(0xee);
    offset += piece.length;
  }
}

/** Ends and ids as they must be. */
function chunksOf(bytes: Uint8Array, chunkSizes: ChunkSizes) {
  const scanner = createScanner({ chunker: 'buzhash', chunkSizes });
  const ends = scanEnds(scanner, bytes, 0, bytes.length);
  const ids = ends.map((end, i) => digest.hash(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)));
  return { ends, ids };
}

function chunksIn({ index }: StoredStream) {
  const numbers = Array.from({ length: index.count }, (_, i) => i);
  return { ends: numbers.map((i) => index.end(i)), ids: numbers.map((i) => index.id(i)) };
}

test('a stream is cut, stored and digested as a whole, whatever its portions', async (t) => {
  const property = fc.asyncProperty(
    fc.nat(6 * SEGMENT_LENGTH),
    fc.integer(),
    fc.constantFrom(1, 2, 256),
    fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
    async (length, seed, values, lengths) => {
      const bytes = noise(length, seed).map((byte) => byte % values);
      const store = memoryStore();
      const stored = await storeWith(segmentsOfStream(portions(bytes, lengths)), store);
      t.deepEqual(chunksIn(stored), chunksOf(bytes, SIZES));
      t.is(stored.digest, digest.hash(bytes));
      const unique = new Set(chunksIn(stored).ids);
      t.deepEqual(new Set(store.chunks.keys()), unique);
      t.is(stored.reusedChunkCount, stored.index.count - unique.size);
      for (const [id, plain] of store.chunks) t.is(digest.hash(plain), id);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test('streams that end at and around the border of a segment', async (t) => {
  for (const border of [SEGMENT_LENGTH, SEGMENT_LENGTH + SIZES.max, 2 * SEGMENT_LENGTH]) {
    for (const length of [border - 1, border, border + 1]) {
      const bytes = noise(length, length);
      const stored = await storeWith(segmentsOfStream([bytes]), memoryStore());
      t.deepEqual(chunksIn(stored), chunksOf(bytes, SIZES));
      t.is(stored.digest, digest.hash(bytes));
    }
  }
});

test('chunks may be longer than the segment was meant to be', async (t) => {
  const chunkSizes = { min: 5000, avg: 20_000, max: 50_000 };
  const bytes = noise(300_000, 8);
  const stored = await storeWith(segmentsOfStream(portions(bytes, [7000])), memoryStore(), {
    chunkSizes,
  });
  t.deepEqual(chunksIn(stored), chunksOf(bytes, chunkSizes));
});

for (const threadCount of [0, 1, 2, 7]) {
  test(`${threadCount} threads: a file with data, zeros and holes`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'blob');
    const bytes = new Uint8Array(4_000_000);
    const parts = [
      [0, noise(200_000, 4)],
      [1_000_000, noise(300_001, 5)],
      [2_500_000, noise(100_000, 4)],
    ] as const;
    const made = openSync(path, 'w');
    for (const [offset, part] of parts) {
      bytes.set(part, offset);
      writeSync(made, part, 0, part.length, offset);
    }
    ftruncateSync(made, bytes.length);
    closeSync(made);
    const descriptor = openSync(path, 'r');
    t.teardown(() => closeSync(descriptor));
    const source = () => segmentsOfFile(descriptor, { label: path, onIncomplete: () => t.fail() });
    const description = describe(join(folder, 'store'));
    const stored = await storeWith(source(), description, { threadCount });
    t.deepEqual(chunksIn(stored), chunksOf(bytes, SIZES));
    t.is(stored.digest, digest.hash(bytes));
    const unique = new Set(chunksIn(stored).ids);
    t.is(stored.index.count - stored.reusedChunkCount, unique.size);
    const store = openLocalStore(description);
    for (const id of unique) t.true(await store.has(id));
    const again = await storeWith(source(), description, { threadCount });
    t.is(again.reusedChunkCount, again.index.count);
    t.false(readdirSync(join(folder, 'store')).some((name) => name.includes('tmp')));
  });
}

test('the store is flushed before the index is there, once', async (t) => {
  const store = memoryStore();
  await storeWith(segmentsOfStream([noise(50_000)]), store);
  t.is(store.flushCount, 1);
});

test('a store that fails ends the work, and the stream is not read on', async (t) => {
  const store = memoryStore();
  let count = 0;
  store.put = async () => {
    count += 1;
    if (count < 20) return 'stored';
    throw new StorageError('TARGET_FULL', { subject: 'memory', reason: 'full' });
  };
  let taken = 0;
  function* endless(): Generator<Uint8Array> {
    for (;;) yield noise(1000, ++taken);
  }
  const error = await t.throwsAsync(storeWith(segmentsOfStream(endless()), store));
  t.like(error, { code: 'TARGET_FULL', message: 'memory: full' });
  t.true(taken < 200);
});

test('a stream that fails fails with its own error', async (t) => {
  function* broken(): Generator<Uint8Array> {
    yield noise(20_000);
    throw new StorageError('IO', { subject: 'input', reason: 'gone' });
  }
  const error = await t.throwsAsync(storeWith(segmentsOfStream(broken()), memoryStore()));
  t.is(error?.message, 'input: gone');
});

test('a file that becomes shorter is refused, on threads, too', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'blob');
  writeFileSync(path, noise(100_000));
  for (const threadCount of [0, 2]) {
    const descriptor = openSync(path, 'r+');
    const source = segmentsOfFile(descriptor, { label: path, onIncomplete: () => {} });
    ftruncateSync(descriptor, 50_000);
    const store = describe(join(folder, 'store'));
    const error = await t.throwsAsync(storeWith(source, store, { threadCount }));
    t.like(error, { code: 'SOURCE_CHANGED', subject: path });
    ftruncateSync(descriptor, 100_000);
    closeSync(descriptor);
  }
});
