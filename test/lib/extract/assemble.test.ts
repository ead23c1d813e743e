import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { throwIfAborted } from '../../../lib/errors.ts';
import { type AssembleOptions, Assembly } from '../../../lib/extract/assemble.node.ts';
import { openBlockTarget } from '../../../lib/extract/open-target.node.ts';
import { type BlockTarget, NO_COUNTS } from '../../../lib/extract/target.ts';
import type { ProgressEvent, ProgressSink } from '../../../lib/progress.ts';
import type { ChunkSource } from '../../../store/chunk-store.ts';
import { ChunkMissing } from '../../../store/errors.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const SIZES = { min: 1, avg: 1000, max: 4000 };

interface Blob {
  readonly index: ChunkIndex;
  readonly chunks: ReadonlyMap<ChunkId, Uint8Array>;
  readonly content: Buffer;
}

const digest = createDigest('sha512-256');

function idOf(part: Uint8Array): ChunkId {
  return Buffer.from(part.subarray(0, 32)).toString('hex').padEnd(64, '0') as ChunkId;
}

/** Ids of chunks that are not zero are made up: verification is the source's business. */
function blobOf(...parts: readonly Uint8Array[]): Blob {
  const builder = new IndexBuilder();
  const chunks = new Map<ChunkId, Uint8Array>();
  for (const part of parts) {
    const id = part.every((byte) => byte === 0) ? digest.hash(part) : idOf(part);
    chunks.set(id, part);
    builder.add(id, part.length);
  }
  const header = { featureFlags: FEATURE.sha512_256, chunkSizes: SIZES };
  return { index: builder.finish(header), chunks, content: Buffer.concat(parts) };
}

const BLOB = blobOf(...Array.from({ length: 40 }, (_, i) => noise(500 + i, 2 * i + 1)));

interface TestSource extends ChunkSource {
  readonly asked: ChunkId[];
  inFlight: number;
  mostInFlight: number;
}

function sourceOf(
  { chunks }: Blob,
  change: (id: ChunkId, bytes: Uint8Array | undefined) => Uint8Array | undefined = (_, b) => b,
): TestSource {
  const source: TestSource = {
    label: 'test',
    asked: [],
    inFlight: 0,
    mostInFlight: 0,
    has: async (id) => chunks.has(id),
    async get(id) {
      source.asked.push(id);
      source.inFlight += 1;
      source.mostInFlight = Math.max(source.mostInFlight, source.inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      source.inFlight -= 1;
      const bytes = change(id, chunks.get(id));
      if (bytes === undefined) throw new ChunkMissing({ reason: 'no source has it' });
      return bytes;
    },
    close: async () => {},
  };
  return source;
}

function assemble(
  { index }: Blob,
  source: ChunkSource,
  target: BlockTarget,
  options: { readonly signal?: AbortSignal; readonly onProgress?: ProgressSink } = {},
): Promise<void> {
  return assembleBlob(index, target, { source, threadCount: 0, ...options });
}

/** What every user of an assembly does. */
async function assembleBlob(
  index: ChunkIndex,
  target: BlockTarget,
  options: AssembleOptions,
): Promise<void> {
  const assembly = new Assembly(index, options);
  try {
    await assembly.fill(target);
    throwIfAborted(options.signal);
    await target.commit();
  } catch (error) {
    await target.discard();
    throw error;
  } finally {
    await assembly.close();
  }
}

/** Remembers what happened to it. */
function recordingTarget(size: number) {
  const written = Buffer.alloc(size);
  const calls: string[] = [];
  const target: BlockTarget = {
    label: 'memory',
    counts: NO_COUNTS,
    write: (bytes, offset) => {
      written.set(bytes, offset);
    },
    zero: () => {},
    commit: async () => {
      calls.push('commit');
    },
    discard: async () => {
      calls.push('discard');
    },
  };
  return { target, written, calls };
}

test('all chunks come to their places, then the target is committed', async (t) => {
  const { target, written, calls } = recordingTarget(BLOB.content.length);
  await assemble(BLOB, sourceOf(BLOB), target);
  t.true(written.equals(BLOB.content));
  t.deepEqual(calls, ['commit']);
});

test('an empty index is an empty output', async (t) => {
  const { target, calls } = recordingTarget(0);
  const empty = blobOf();
  await assemble(empty, sourceOf(empty), target);
  t.deepEqual(calls, ['commit']);
});

test('chunks of zeros in a row are not fetched', async (t) => {
  const zeros = new Uint8Array(1000);
  const blob = blobOf(noise(10), zeros, zeros, zeros, zeros, noise(20, 3));
  const source = sourceOf(blob);
  const { target, written } = recordingTarget(blob.content.length);
  const events: ProgressEvent[] = [];
  await assemble(blob, source, target, { onProgress: (event) => events.push(event) });
  t.is(source.asked.length, 2);
  t.true(written.equals(blob.content));
  t.like(events.at(-1), { doneBytes: 4030, totalBytes: 4030, chunkCount: 6, reusedChunkCount: 4 });
});

test('what repeats and is not zero is fetched', async (t) => {
  const blob = blobOf(...Array.from({ length: 5 }, () => noise(1000, 7)));
  const { target, written } = recordingTarget(blob.content.length);
  await assemble(blob, sourceOf(blob), target);
  t.true(written.equals(blob.content));
});

for (const position of [0, 17, 39]) {
  test(`a missing chunk ${position} is named, and nothing is in flight any more`, async (t) => {
    const id = BLOB.index.id(position);
    const source = sourceOf(BLOB, (asked, bytes) => (asked === id ? undefined : bytes));
    const { target, calls } = recordingTarget(BLOB.content.length);
    const error = await t.throwsAsync(assemble(BLOB, source, target));
    t.like(error, { code: 'CHUNK_MISSING' });
    t.true(error?.message.includes(id));
    t.deepEqual(calls, ['discard']);
    t.is(source.inFlight, 0);
  });
}

test('a chunk of another length than the index says is refused', async (t) => {
  const id = BLOB.index.id(5);
  const source = sourceOf(BLOB, (asked, bytes) => (asked === id ? bytes?.subarray(1) : bytes));
  const { target, calls } = recordingTarget(BLOB.content.length);
  const error = await t.throwsAsync(assemble(BLOB, source, target));
  t.like(error, { code: 'CHUNK_DAMAGED', subject: id });
  t.deepEqual(calls, ['discard']);
});

test('a signal stops the work before the commit', async (t) => {
  for (const position of [0, 20, 39]) {
    const controller = new AbortController();
    const source = sourceOf(BLOB, (id, bytes) => {
      if (id === BLOB.index.id(position)) controller.abort();
      return bytes;
    });
    const { target, calls } = recordingTarget(BLOB.content.length);
    const { signal } = controller;
    const error = await t.throwsAsync(assemble(BLOB, source, target, { signal }));
    t.like(error, { code: 'ABORTED' });
    t.deepEqual(calls, ['discard']);
  }
});

test('every failure leaves the older file, and no other', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'out');
  writeFileSync(path, 'old');
  for (let position = 0; position < BLOB.index.count; position += 7) {
    const id = BLOB.index.id(position);
    const source = sourceOf(BLOB, (asked, bytes) => (asked === id ? undefined : bytes));
    const target = openBlockTarget(path, { size: BLOB.index.totalSize });
    await t.throwsAsync(assemble(BLOB, source, target));
    t.deepEqual(readdirSync(folder), ['out']);
    t.is(readFileSync(path, 'utf8'), 'old');
  }
});

test('a failure to write is reported and discards', async (t) => {
  const { target, calls } = recordingTarget(BLOB.content.length);
  const failing = {
    ...target,
    write: async () => {
      throw new ChunkMissing({ reason: 'the disk is gone' });
    },
  };
  const error = await t.throwsAsync(assemble(BLOB, sourceOf(BLOB), failing));
  t.regex(String(error?.message), /the disk is gone/);
  t.deepEqual(calls, ['discard']);
});
