/**
 * Brings chunks of an index into a memory that is shared with the threads of a pool, from seeds, stores
 * here and stores elsewhere. Used where they are read in any order.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { partsInSeeds, type Seed } from '../seed/seed.ts';
import { type ChunkGetter, isAnyRemote, openPooledGetter } from '../stores/chunk-getter.node.ts';
import type { SourceDescriptions } from '../stores/store-description.ts';
import { WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { shareMemory } from '../work/shared-memory.ts';

export interface ChunkLoaderOptions {
  /** An opened source works without threads only, and stays open. */
  readonly source: SourceDescriptions | ChunkSource;
  /** Asked before the source; they stay open. */
  readonly seeds?: readonly Seed[];
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  /** Bytes for chunks. */
  readonly capacity: number;
  /** Start threads at once, so that who reads later finds them; otherwise when there is enough to do. */
  readonly startsAtOnce: boolean;
}

export class ChunkLoader {
  /** Chunks come over a network, one by one. */
  readonly isRemote: boolean;
  readonly #index: ChunkIndex;
  readonly #seeds: readonly Seed[];
  readonly #bytes: Uint8Array;
  readonly #pool: JobPool;
  readonly #getter: ChunkGetter;
  /** Bytes that were loaded so far. */
  #loadedBytes = 0;

  constructor(index: ChunkIndex, options: ChunkLoaderOptions) {
    const { source, seeds = [], threadCount, capacity, startsAtOnce } = options;
    this.#index = index;
    this.#seeds = seeds;
    this.isRemote = isAnyRemote(source);
    // Behind it, where chunks come over a network, as much room for what is received.
    const memory = shareMemory(this.isRemote ? 2 * capacity : capacity);
    this.#bytes = new Uint8Array(memory.buffer);
    const { pool, getter } = openPooledGetter({
      source,
      index,
      setup: { memory, digest: index.digest },
      threadCount,
      // It has to answer, and soon.
      helps: false,
      bytes: (address, length) => this.view(address, length),
      roomOffset: capacity,
    });
    this.#pool = pool;
    this.#getter = getter;
    if (startsAtOnce && index.totalSize >= WORTH_THREADS) this.#pool.start();
  }

  /** Bytes of the memory, in place. */
  view(address: number, length: number): Uint8Array {
    return this.#bytes.subarray(address, address + length);
  }

  /**
   * Puts chunks in a row to an address, one behind the other, each verified.
   * @throws as ChunkSource.get, with the chunk's id
   */
  async load(first: number, count: number, address: number): Promise<void> {
    const index = this.#index;
    const chunks = Array.from({ length: count }, (_, i) => first + i);
    const digests = index.digestsOf(chunks);
    const lengths = chunks.map((chunk) => index.size(chunk));
    this.#loadedBytes += index.end(first + count - 1) - index.start(first);
    if (this.#loadedBytes >= WORTH_THREADS) this.#pool.start();
    const seeds = this.#seeds;
    const parts = seeds.length > 0 && chunks.map((chunk) => partsInSeeds(seeds, index.id(chunk)));
    await this.#getter.fetch({ digests, lengths, address, ...(parts && { parts }) });
  }

  /** Ends what is still going on. */
  async close(): Promise<void> {
    await this.#getter.close();
    await this.#pool.close();
  }
}
