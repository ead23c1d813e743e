/**
 * Where the bytes of a file, device or stream are not those that an index describes, told by digests
 * alone: no store is needed. Used by verify and diff.
 */
import { equalBytes } from '../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { createDigest } from '../digest/digest.node.ts';
import { throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { createBreather } from '../work/breathe.ts';
import { openJobPool, WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { unattended } from '../work/unattended.ts';

export interface DifferentChunksOptions {
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** An open file or device. */
export interface ComparedFile {
  readonly descriptor: number;
  /** For messages. */
  readonly label: string;
}

/** A job has about this many bytes. */
const BATCH_LENGTH = 4 * 1024 * 1024;
const BATCH_COUNT = 1024;

interface Batch {
  readonly first: number;
  readonly end: number;
  readonly different: Promise<readonly number[]>;
}

/** Numbers of the chunks that a file does not have in their place, rising; read on all cores. */
export async function* differentChunks(
  index: ChunkIndex,
  file: ComparedFile,
  options: DifferentChunksOptions,
): AsyncGenerator<number> {
  const { threadCount, signal, onProgress } = options;
  const pool = openJobPool({ digest: index.digest }, threadCount);
  if (index.totalSize >= WORTH_THREADS) pool.start();
  const batches: Batch[] = [];
  let next = 0;
  try {
    for (;;) {
      throwIfAborted(signal);
      while (next < index.count && batches.length < 2 * (threadCount + 1)) {
        const batch = compareBatch(pool, index, file, next);
        batches.push(batch);
        next = batch.end;
      }
      const batch = batches.shift();
      if (batch === undefined) return;
      for (const chunk of await batch.different) yield batch.first + chunk;
      onProgress?.(progressOf('verify', index.end(batch.end - 1), index.totalSize));
    }
  } finally {
    await pool.close();
  }
}

function compareBatch(
  pool: JobPool,
  index: ChunkIndex,
  { descriptor, label }: ComparedFile,
  first: number,
): Batch {
  const offset = index.start(first);
  const chunks: number[] = [];
  let end = first;
  while (end < index.count && chunks.length < BATCH_COUNT) {
    chunks.push(end);
    end += 1;
    if (index.end(end - 1) - offset >= BATCH_LENGTH) break;
  }
  const lengths = chunks.map((chunk) => index.size(chunk));
  const digests = index.digestsOf(chunks);
  const input = { descriptor, offset, lengths, digests, label };
  return { first, end, different: unattended(pool.run('compareChunks', input)) };
}

/** The same of bytes that can only be read front to back. */
export async function* differentChunksOfStream(
  index: ChunkIndex,
  source: ByteSource,
  { signal, onProgress }: Omit<DifferentChunksOptions, 'threadCount'>,
): AsyncGenerator<number> {
  const digest = createDigest(index.digest);
  const breathe = createBreather();
  const found = new Uint8Array(CHUNK_ID_LENGTH);
  for (let chunk = 0; chunk < index.count; chunk++) {
    const stream = digest.stream();
    let isWhole = true;
    for (let offset = index.start(chunk); offset < index.end(chunk) && isWhole; ) {
      throwIfAborted(signal);
      await breathe();
      const bytes = await source.read(offset);
      const wanted = bytes.subarray(0, index.end(chunk) - offset);
      stream.update(wanted);
      offset += wanted.length;
      isWhole = wanted.length > 0;
    }
    writeChunkId(stream.finish(), found, 0);
    if (!isWhole || !equalBytes(found, index.idBytes(chunk))) yield chunk;
    onProgress?.(progressOf('verify', index.end(chunk), index.totalSize));
  }
}
