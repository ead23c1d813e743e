/**
 * The bytes behind an index: what list, digest and extraction of trees read. While they are taken in
 * order, chunks are fetched ahead.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { throwIfAborted } from '../errors.ts';
import type { ChunkCount } from '../statistics.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { unattended } from '../work/unattended.ts';
import type { ByteSource } from './byte-source.ts';
import { type ChunkBatch, ChunkReader, type ChunkReaderOptions } from './chunk-reader.node.ts';

export interface IndexSourceOptions extends ChunkReaderOptions {
  /** Name of the index, for messages. */
  readonly label: string;
  readonly signal?: AbortSignal;
}

/** The bytes behind an index. */
export interface IndexSource extends ByteSource {
  /** Where the chunks are fetched; also for jobs that use what was read. */
  readonly pool: JobPool;
  /** Chunks that came from seeds and from stores so far. */
  readonly counts: { readonly fromSeeds: ChunkCount; readonly fromStores: ChunkCount };
}

/** Opens the bytes behind `index`; each chunk is verified before any of its bytes is given out. */
export function openIndexSource(index: ChunkIndex, options: IndexSourceOptions): IndexSource {
  const { label, signal } = options;
  const reader = new ChunkReader(index, options);
  const ahead = new ReadAhead(reader);
  return {
    label,
    pool: reader.pool,
    counts: reader,
    size: index.totalSize,
    seekable: true,
    async read(offset) {
      if (offset >= index.totalSize) return new Uint8Array(0);
      throwIfAborted(signal);
      const batch = await ahead.take(index.chunkAt(offset));
      return batch.bytes.subarray(offset - index.start(batch.chunks[0]));
    },
    close: () => reader.close(),
  };
}

/** Batches that have been asked for, the one in use first. */
class ReadAhead {
  readonly #reader: ChunkReader;
  readonly #batches: Promise<ChunkBatch>[] = [];
  #current: ChunkBatch | undefined;
  /** Number of the chunk behind all batches. */
  #next = 0;
  /** Batches wanted ahead; grows while reading goes on in order. */
  #depth = 1;

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /** The batch that holds a chunk, verified; valid until the next call. */
  async take(chunk: number): Promise<ChunkBatch> {
    for (;;) {
      const current = this.#current;
      if (current !== undefined && holds(current, chunk)) return current;
      if (current !== undefined && chunk !== lastOf(current) + 1) await this.#jump(chunk);
      current?.release();
      this.#current = undefined;
      this.#fill(chunk);
      const batch = await this.#batches.shift();
      if (batch === undefined) throw new RangeError('there is no such chunk');
      await batch.ready;
      this.#current = batch;
    }
  }

  /** Forgets what was fetched ahead, unless the chunk is in it. */
  async #jump(chunk: number): Promise<void> {
    this.#depth = 1;
    while (this.#batches.length > 0) {
      const batch = await this.#batches[0];
      if (holds(batch, chunk)) return;
      this.#batches.shift();
      await batch.ready.catch(() => {});
      batch.release();
    }
  }

  #fill(chunk: number): void {
    const { index, slotCount } = this.#reader;
    if (this.#batches.length === 0) this.#next = chunk;
    while (this.#batches.length < this.#depth && this.#next < index.count) {
      const count = this.#depth === 1 ? 1 : this.#reader.batchCount(this.#next);
      const chunks = Array.from({ length: count }, (_, i) => this.#next + i);
      this.#batches.push(unattended(this.#reader.fetch(chunks)));
      this.#next += count;
    }
    this.#depth = Math.min(this.#depth + 1, slotCount);
  }
}

function holds(batch: ChunkBatch, chunk: number): boolean {
  return chunk >= batch.chunks[0] && chunk <= lastOf(batch);
}

function lastOf({ chunks }: ChunkBatch): number {
  return chunks[chunks.length - 1];
}
