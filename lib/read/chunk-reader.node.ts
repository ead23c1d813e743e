/**
 * Reads the chunks of an index front to back and ahead of its user: several in a row make a batch, and
 * as many batches are on their way as the ring has room for. Used by whatever reads behind an index.
 */
import { CHUNK_ID_LENGTH } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import { openJobPool, WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { SegmentRing } from '../work/segment-ring.ts';
import { unattended } from '../work/unattended.ts';

export interface ChunkReaderOptions {
  /** Where chunks come from. An opened source works without threads only, and stays open. */
  readonly source: readonly LocalStoreDescription[] | ChunkSource;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
}

/** Chunks that follow one another, on their way into the memory. */
export interface ChunkBatch {
  /** Number of the first chunk. */
  readonly first: number;
  /** Chunks in the batch. */
  readonly count: number;
  /** Offset of its first byte behind the index. */
  readonly start: number;
  /** Bytes in the batch. */
  readonly length: number;
  /** Resolves when all of it is there and verified. @throws as ChunkSource.get, with the chunk's id */
  readonly ready: Promise<void>;
  /** The bytes, valid until {@link release}. */
  readonly bytes: Uint8Array;
  /** Frees the memory; to be called once, after `ready`. */
  release(): void;
}

/** A batch ends with the chunk that makes it this long. */
const BATCH_LENGTH = 1024 * 1024;
/** Chunks in a batch at most, if they are tiny. */
const BATCH_COUNT = 256;
/** Bytes that the ring may have, if chunks are so large that it would otherwise become larger. */
const LARGE_RING = 128 * 1024 * 1024;

/** One batch is used while another one is fetched. */
const FEWEST_SLOTS = 2;
/** Besides two for each thread: enough for the user of the bytes to be late for a while. */
const MORE_SLOTS = 14;

export class ChunkReader {
  readonly index: ChunkIndex;
  /** Also for jobs that use what was read. */
  readonly pool: JobPool;
  /** Batches that can be on their way at a time. */
  readonly slotCount: number;
  readonly #ring: SegmentRing;

  constructor(index: ChunkIndex, { source, threadCount }: ChunkReaderOptions) {
    this.index = index;
    const slotSize = BATCH_LENGTH + longestChunk(index);
    const wanted = threadCount === 0 ? FEWEST_SLOTS : 2 * threadCount + MORE_SLOTS;
    this.slotCount = Math.max(FEWEST_SLOTS, Math.min(wanted, Math.floor(LARGE_RING / slotSize)));
    this.#ring = new SegmentRing({ reservedSize: 0, slotSize, slotCount: this.slotCount });
    const setup = { memory: this.#ring.memory, digest: index.digest };
    this.pool =
      'get' in source
        ? openJobPool(setup, 0, { source })
        : openJobPool({ ...setup, sources: source }, threadCount);
    if (index.totalSize >= WORTH_THREADS) this.pool.start();
  }

  /** How many chunks make up the batch that begins with chunk `first`. */
  batchCount(first: number): number {
    const { index } = this;
    const most = Math.min(index.count, first + BATCH_COUNT);
    let next = first;
    while (next < most && index.start(next) - index.start(first) < BATCH_LENGTH) next += 1;
    return next - first;
  }

  /** Begins to fetch `count` chunks. */
  async fetch(first: number, count: number): Promise<ChunkBatch> {
    const { index } = this;
    const address = await this.#ring.acquire();
    const start = index.start(first);
    const length = index.end(first + count - 1) - start;
    const digests = new Uint8Array(count * CHUNK_ID_LENGTH);
    const lengths: number[] = [];
    for (let i = 0; i < count; i++) {
      digests.set(index.idBytes(first + i), i * CHUNK_ID_LENGTH);
      lengths.push(index.size(first + i));
    }
    const ready = unattended(this.pool.run('fetchChunks', { digests, lengths, address }));
    const bytes = this.#ring.view(address, length);
    const release = (): void => this.#ring.release(address);
    return { first, count, start, length, ready, bytes, release };
  }

  /** Ends what is still going on. */
  close(): Promise<void> {
    return this.pool.close();
  }
}

function longestChunk(index: ChunkIndex): number {
  let longest = 0;
  for (let i = 0; i < index.count; i++) longest = Math.max(longest, index.size(i));
  return longest;
}
