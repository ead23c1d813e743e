import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { abortedError } from '../../../lib/errors.ts';
import type { BlobRange, BlobReader } from '../../../lib/read/blob-reader.ts';
import { openIndexBlob } from '../../../lib/read/index-blob.node.ts';
import type { ChunkSource } from '../../../store/chunk-store.ts';
import { ChunkMissing } from '../../../store/errors.ts';
import { noise } from '../../helpers/golden.ts';

const ZEROS = new Uint8Array(40_000);
/** Chunks of 1 to 99 KiB, and some zeros in a row. */
const CHUNKS = Array.from({ length: 60 }, (_, i) =>
  i >= 30 && i < 34 ? ZEROS : noise(1024 * (1 + ((i * 37) % 99)), 2 * i + 1),
);
const CONTENT = Buffer.concat(CHUNKS);
const LONGEST = 99 * 1024;

const digest = createDigest('sha256');
const IDS = CHUNKS.map((chunk) => digest.hash(chunk));

interface Opened {
  readonly blob: BlobReader;
  /** Chunks in the order in which they were asked for. */
  readonly asked: number[];
  /** Chunks that cannot be had at the moment. */
  readonly lost: Set<number>;
  /** Whoever asks waits until it is let go. */
  readonly held: { promise?: Promise<void> };
}

function open(t: ExecutionContext, cacheSize = CONTENT.length): Opened {
  const builder = new IndexBuilder();
  for (const [i, chunk] of CHUNKS.entries()) builder.add(IDS[i], chunk.length);
  const index = builder.finish({
    featureFlags: FEATURE.sha512_256 & 0n,
    chunkSizes: { min: 1, avg: 65536, max: 262144 },
  });
  const asked: number[] = [];
  const lost = new Set<number>();
  const held: Opened['held'] = {};
  const source: ChunkSource = {
    label: 'test',
    has: async () => true,
    async get(id: ChunkId) {
      const chunk = IDS.indexOf(id);
      asked.push(chunk);
      await held.promise;
      if (lost.has(chunk)) throw new ChunkMissing({ subject: id, reason: 'gone' });
      return CHUNKS[chunk];
    },
    close: async () => {},
  };
  const blob = openIndexBlob(index, { source, threadCount: 0, label: 'x.caibx', cacheSize });
  t.teardown(() => blob.close());
  return { blob, asked, lost, held };
}

/** A copy of a range, released. */
async function readCopy(blob: BlobReader, range: BlobRange, signal?: AbortSignal): Promise<Buffer> {
  const bytes = await blob.read(range, signal && { signal });
  const copy = Buffer.concat(bytes.pieces);
  bytes.release();
  return copy;
}

function contentOf({ offset, length }: BlobRange): Buffer {
  return CONTENT.subarray(offset, offset + length);
}

/** Where a chunk begins. */
function startOf(chunk: number): number {
  return CHUNKS.slice(0, chunk).reduce((sum, { length }) => sum + length, 0);
}

for (const [title, cacheSize] of [
  ['room for everything', CONTENT.length],
  ['room for a few chunks', 1],
] as const) {
  test(`any ranges, several at a time, with ${title}`, async (t) => {
    const range = fc.record({ offset: fc.nat(CONTENT.length + 100), length: fc.nat(3 * LONGEST) });
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 30 }), async (ranges) => {
        const { blob } = open(t, cacheSize);
        const copies = await Promise.all(ranges.map((one) => readCopy(blob, one)));
        for (const [i, copy] of copies.entries()) t.true(copy.equals(contentOf(ranges[i])));
      }),
      { numRuns: 25 },
    );
  });
}

test('a range that is longer than what the memory holds', async (t) => {
  const { blob } = open(t, 1);
  t.true((await readCopy(blob, { offset: 0, length: CONTENT.length })).equals(CONTENT));
});

test('bytes that are there are given at once, and chunks are fetched once', async (t) => {
  const { blob, asked } = open(t);
  const range = { offset: startOf(3) + 5, length: 70_000 };
  const first = blob.read(range);
  t.true(first instanceof Promise);
  (await first).release();
  const count = asked.length;
  const second = blob.read(range);
  t.false(second instanceof Promise);
  t.true(Buffer.concat((await second).pieces).equals(contentOf(range)));
  t.is(asked.length, count);
});

test('who wants the same chunk waits for the same one', async (t) => {
  const { blob, asked } = open(t);
  const range = { offset: startOf(5), length: 100 };
  await Promise.all(Array.from({ length: 20 }, () => readCopy(blob, range)));
  t.deepEqual(asked, [5]);
});

test('bytes stay as they are until they are released, however much is read meanwhile', async (t) => {
  const { blob } = open(t, 1);
  const range = { offset: startOf(7), length: CHUNKS[7].length };
  const kept = await blob.read(range);
  for (let chunk = 0; chunk < CHUNKS.length; chunk++) {
    await readCopy(blob, { offset: startOf(chunk), length: CHUNKS[chunk].length });
  }
  t.true(Buffer.concat(kept.pieces).equals(contentOf(range)));
  kept.release();
});

test('nobody waits for ever because others keep what they have read', async (t) => {
  const { blob } = open(t, 1);
  const kept = [];
  for (let chunk = 0; chunk < CHUNKS.length; chunk++) {
    const range = { offset: startOf(chunk), length: CHUNKS[chunk].length };
    kept.push({ range, bytes: await blob.read(range) });
  }
  for (const { range, bytes } of kept) {
    t.true(Buffer.concat(bytes.pieces).equals(contentOf(range)));
    bytes.release();
  }
});

test('a chunk that cannot be had fails what needs it, nothing else, and is tried again', async (t) => {
  const { blob, lost } = open(t);
  lost.add(10);
  const neighbours = { offset: startOf(9), length: CHUNKS[9].length };
  const across = { offset: startOf(9), length: CHUNKS[9].length + 1 };
  const error = await t.throwsAsync(readCopy(blob, across), { code: 'CHUNK_MISSING' });
  t.true(error.message.includes(IDS[10]));
  t.true((await readCopy(blob, neighbours)).equals(contentOf(neighbours)));
  const behind = { offset: startOf(11), length: CHUNKS[11].length };
  t.true((await readCopy(blob, behind)).equals(contentOf(behind)));
  await t.throwsAsync(readCopy(blob, across), { code: 'CHUNK_MISSING' });
  lost.clear();
  t.true((await readCopy(blob, across)).equals(contentOf(across)));
});

test('every chunk in turn missing: reading in order fails there and only there', async (t) => {
  for (let gone = 0; gone < CHUNKS.length; gone += 7) {
    const { blob, lost } = open(t);
    lost.add(gone);
    for (let chunk = 0; chunk < CHUNKS.length; chunk++) {
      const range = { offset: startOf(chunk), length: CHUNKS[chunk].length };
      if (chunk === gone && CHUNKS[chunk] !== ZEROS) {
        await t.throwsAsync(readCopy(blob, range), { code: 'CHUNK_MISSING' });
      } else t.true((await readCopy(blob, range)).equals(contentOf(range)), `${chunk} of ${gone}`);
    }
  }
});

test('a signal ends the waiting of one reader', async (t) => {
  const { blob, held } = open(t);
  let letGo = (): void => {};
  held.promise = new Promise((resolve) => {
    letGo = resolve;
  });
  const range = { offset: 0, length: 10 };
  const controller = new AbortController();
  const stopped = readCopy(blob, range, controller.signal);
  const patient = readCopy(blob, range);
  await delay(1);
  controller.abort(abortedError());
  await t.throwsAsync(stopped, { code: 'ABORTED' });
  letGo();
  t.true((await patient).equals(contentOf(range)));
});

test('closing ends the waiting of all', async (t) => {
  const { blob, held } = open(t);
  let letGo = (): void => {};
  held.promise = new Promise((resolve) => {
    letGo = resolve;
  });
  const waiting = readCopy(blob, { offset: 0, length: 10 });
  const closed = blob.close();
  await t.throwsAsync(waiting, { code: 'ABORTED' });
  letGo();
  await closed;
  await t.throwsAsync(readCopy(blob, { offset: 0, length: 10 }), { code: 'ABORTED' });
});

test('zeros in a row are known without being fetched', async (t) => {
  const { blob, asked } = open(t);
  const zeros = { offset: startOf(30), length: 4 * ZEROS.length };
  t.deepEqual(blob.extentAt(zeros.offset), { end: zeros.offset + zeros.length, isZero: true });
  t.deepEqual(blob.extentAt(0), { end: zeros.offset, isZero: false });
  t.true((await readCopy(blob, zeros)).equals(Buffer.alloc(zeros.length)));
  t.deepEqual(asked, []);
});

test('reading in order fetches each chunk once although little memory is there', async (t) => {
  const { blob, asked } = open(t, 12 * LONGEST);
  for (let offset = 0; offset < CONTENT.length; offset += 30_000) {
    const range = { offset, length: 30_000 };
    t.true((await readCopy(blob, range)).equals(contentOf(range)));
  }
  t.is(new Set(asked).size, asked.length);
  t.is(asked.length, CHUNKS.length - 4);
});
