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
import {
  BATCH_COUNT,
  type ChunkBatch,
  ChunkReader,
  type ChunkReaderOptions,
} from './chunk-reader.node.ts';

export interface IndexSourceOptions extends ChunkReaderOptions {
  /** Name of the index, for messages. */
  readonly label: string;
}

/** The bytes behind an index. */
export interface IndexSource extends ByteSource {
  /** Where the chunks are fetched; also for jobs that use what was read. */
  readonly pool: JobPool;
  /** Chunks that came from seeds, from stores here and from stores elsewhere so far. */
  readonly counts: {
    readonly fromSeeds: ChunkCount;
    readonly fromStores: ChunkCount;
    readonly fromRemoteStores: ChunkCount;
  };
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
    async read(offset, end = index.totalSize) {
      if (offset >= index.totalSize) return new Uint8Array(0);
      throwIfAborted(signal);
      const chunk = index.chunkAt(offset);
      const last = end > offset ? index.chunkAt(Math.min(end, index.totalSize) - 1) : chunk;
      const batch = await ahead.take(chunk, last);
      return batch.bytes.subarray(offset - index.start(batch.chunks[0]));
    },
    close: () => reader.close(),
  };
}

/** Whoever has read so many chunks in order will read on. */
const WIDTH_TO_GO_DEEPER = 8;

/** Batches that have been asked for, the one in use first. */
class ReadAhead {
  readonly #reader: ChunkReader;
  readonly #batches: Promise<ChunkBatch>[] = [];
  #current: ChunkBatch | undefined;
  /** Number of the chunk behind all batches. */
  #next = 0;
  /** Chunks wanted in a batch, and batches wanted ahead; both grow while reading goes on in order. */
  #width = 1;
  #depth = 1;

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /**
   * The batch that holds a chunk, verified; valid until the next call.
   * @param last number of the last chunk that is of use
   */
  async take(chunk: number, last: number): Promise<ChunkBatch> {
    for (;;) {
      const current = this.#current;
      if (current !== undefined && holds(current, chunk)) return current;
      if (current !== undefined && chunk !== lastOf(current) + 1) await this.#jump(chunk);
      current?.release();
      this.#current = undefined;
      this.#fill(chunk, last);
      const batch = await this.#batches.shift();
      if (batch === undefined) throw new RangeError('there is no such chunk');
      try {
        await batch.ready;
      } catch (error) {
        batch.release();
        throw error;
      }
      this.#current = batch;
    }
  }

  /** Forgets what was fetched ahead, unless the chunk is in it. */
  async #jump(chunk: number): Promise<void> {
    this.#width = 1;
    this.#depth = 1;
    while (this.#batches.length > 0) {
      const batch = await this.#batches[0];
      if (holds(batch, chunk)) return;
      this.#batches.shift();
      await batch.ready.catch(() => {});
      batch.release();
    }
  }

  #fill(chunk: number, last: number): void {
    const { slotCount } = this.#reader;
    if (this.#batches.length === 0) this.#next = chunk;
    while (this.#batches.length < this.#depth && this.#next <= last) {
      const most = Math.min(this.#reader.batchCount(this.#next), last + 1 - this.#next);
      const count = Math.min(this.#width, most);
      const chunks = Array.from({ length: count }, (_, i) => this.#next + i);
      this.#batches.push(unattended(this.#reader.fetch(chunks)));
      this.#next += count;
    }
    if (this.#width < WIDTH_TO_GO_DEEPER) this.#width *= 2;
    else {
      this.#width = BATCH_COUNT;
      this.#depth = Math.min(this.#depth + 1, slotCount);
    }
  }
}

function holds(batch: ChunkBatch, chunk: number): boolean {
  return chunk >= batch.chunks[0] && chunk <= lastOf(batch);
}

function lastOf({ chunks }: ChunkBatch): number {
  return chunks[chunks.length - 1];
}
