/**
 * Reads the chunks of an index ahead of its user: several make a batch, and as many batches are on
 * their way as the ring has room for. Used by whatever reads behind an index.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { KERNEL_BYTES } from '../chunking/kernel/kernel.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import type { LengthFilter } from '../seed/length-filter.ts';
import { partsInSeeds, type Seed, type SeedPart } from '../seed/seed.ts';
import type { ChunkCount } from '../statistics.ts';
import { type ChunkGetter, isAnyRemote, openPooledGetter } from '../stores/chunk-getter.node.ts';
import type { SourceDescriptions } from '../stores/store-description.ts';
import { WORTH_THREADS } from '../work/job-pool.node.ts';
import { FETCHED } from '../work/jobs/fetch-chunks.node.ts';
import type { FileRange, FoundChunks } from '../work/jobs/find-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { SegmentRing } from '../work/segment-ring.ts';
import { unattended } from '../work/unattended.ts';

export interface ChunkReaderOptions {
  /** Where chunks come from. An opened source works without threads only, and stays open. */
  readonly source: SourceDescriptions | ChunkSource;
  /** Asked in this order before the source; they stay open. */
  readonly seeds?: readonly Seed[];
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  /** How file seeds are cut; the chunker of the index does not stand in it. buzhash if left out. */
  readonly chunker?: ChunkerName;
  /** Ends requests that wait for a server. */
  readonly signal?: AbortSignal;
}

/** Chunks on their way into the memory. */
export interface ChunkBatch {
  /** Numbers of the chunks, rising. */
  readonly chunks: readonly number[];
  /** Bytes in the batch. */
  readonly length: number;
  /**
   * Resolves when all of it is there and verified, to one of FETCHED for each chunk.
   * @throws as ChunkSource.get, with the chunk's id
   */
  readonly ready: Promise<Uint8Array>;
  /** The bytes of the chunks, one behind the other, valid until {@link release}. */
  readonly bytes: Uint8Array;
  /** The file that chunk number `i` of the batch comes from, if a seed has it and it lies in one piece. */
  originOf(i: number): SeedPart | undefined;
  /** Frees the memory; to be called once, after `ready`. */
  release(): void;
}

export interface FetchOptions {
  /** Where seeds may have a chunk; asks the seeds of the reader if left out. */
  readonly partsOf?: (chunk: number) => readonly SeedPart[] | undefined;
  /** Leave out what the seeds do not have. */
  readonly fromSeedsOnly?: boolean;
}

/** A batch ends with the chunk that makes it this long. */
export const BATCH_LENGTH = 1024 * 1024;
/** Chunks in a batch at most, if they are tiny. */
export const BATCH_COUNT = 256;
/** Bytes that the ring may have, if chunks are so large that it would otherwise become larger. */
const LARGE_RING = 128 * 1024 * 1024;

/** One batch is used while another one is fetched. */
const FEWEST_SLOTS = 2;
/** Besides two for each thread: enough for the user of the bytes to be late for a while. */
const MORE_SLOTS = 14;
/** As much on its way as keeps a distant server and a fast line busy. */
const REMOTE_SLOTS = 24;
/** Bytes that the hash of the chunker needs. */
const SMALLEST_WINDOW = 48;

export class ChunkReader {
  readonly index: ChunkIndex;
  /** Also for jobs that use what was read. */
  readonly pool: JobPool;
  /** Batches that can be on their way at a time. */
  readonly slotCount: number;
  readonly #ring: SegmentRing;
  readonly #seeds: readonly Seed[];
  readonly #longestChunk: number;
  readonly #getter: ChunkGetter;
  readonly #counts = { fromSeed: count(), fromStore: count(), fromRemote: count() };

  constructor(index: ChunkIndex, options: ChunkReaderOptions) {
    const { source, seeds = [], threadCount, chunker = 'buzhash' } = options;
    this.index = index;
    this.#seeds = seeds;
    this.#longestChunk = Math.max(longestChunk(index), SMALLEST_WINDOW);
    const isRemote = isAnyRemote(source);
    const plainSize = BATCH_LENGTH + this.#longestChunk;
    // Behind the chunks, where they come over a network, what was received.
    const slotSize = isRemote ? 2 * plainSize : plainSize;
    const wanted = wantedSlots(threadCount, isRemote);
    this.slotCount = Math.max(FEWEST_SLOTS, Math.min(wanted, Math.floor(LARGE_RING / slotSize)));
    const { slotCount } = this;
    this.#ring = new SegmentRing({ reservedSize: KERNEL_BYTES, slotSize, slotCount });
    const chunking = { chunker, chunkSizes: index.chunkSizes };
    const { pool, getter } = openPooledGetter({
      source,
      index,
      setup: { memory: this.#ring.memory, digest: index.digest, chunking },
      threadCount,
      helps: true,
      bytes: (address, length) => this.#ring.view(address, length),
      roomOffset: plainSize,
      ...(options.signal && { signal: options.signal }),
    });
    this.pool = pool;
    this.#getter = getter;
    if (index.totalSize >= WORTH_THREADS) this.pool.start();
  }

  /** Chunks that seeds have had so far. */
  get fromSeeds(): ChunkCount {
    return this.#counts.fromSeed;
  }

  /** Chunks that came from stores on this machine so far. */
  get fromStores(): ChunkCount {
    return this.#counts.fromStore;
  }

  /** Chunks that came from all other stores so far. */
  get fromRemoteStores(): ChunkCount {
    return this.#counts.fromRemote;
  }

  /** How many chunks make up the batch that begins with chunk `first`. */
  batchCount(first: number): number {
    const { index } = this;
    const most = Math.min(index.count, first + BATCH_COUNT);
    let next = first;
    while (next < most && index.start(next) - index.start(first) < BATCH_LENGTH) next += 1;
    return next - first;
  }

  /** Begins to fetch chunks: rising numbers, no more bytes than a batch has. */
  async fetch(chunks: readonly number[], options: FetchOptions = {}): Promise<ChunkBatch> {
    const { index } = this;
    const address = await this.#ring.acquire();
    const digests = index.digestsOf(chunks);
    const lengths = chunks.map((chunk) => index.size(chunk));
    const length = lengths.reduce((sum, size) => sum + size, 0);
    const { partsOf = this.#partsInSeeds, fromSeedsOnly = false } = options;
    const asksSeeds = options.partsOf !== undefined || this.#seeds.length > 0;
    const parts = asksSeeds ? chunks.map(partsOf) : undefined;
    const input = { digests, lengths, address, fromSeedsOnly, ...(parts ? { parts } : {}) };
    const ready = unattended(this.#getter.fetch(input).then(this.#counting(lengths)));
    const bytes = this.#ring.view(address, length);
    const originOf = (i: number): SeedPart | undefined => onePiece(parts?.[i]);
    const release = (): void => this.#ring.release(address);
    return { chunks, length, ready, bytes, originOf, release };
  }

  /**
   * Cuts ranges of a file as the stream behind the index was cut.
   * @param file a descriptor open for reading, and how many bytes of it count
   * @param lengths chunks of other lengths are left out
   */
  async findChunks(
    file: { readonly descriptor: number; readonly size: number },
    ranges: readonly FileRange[],
    lengths: LengthFilter,
  ): Promise<FoundChunks> {
    const address = await this.#ring.acquire();
    const { slotSize } = this.#ring;
    const input = {
      descriptor: file.descriptor,
      fileSize: file.size,
      ranges,
      address,
      slotSize,
      longestChunk: this.#longestChunk,
      lengths: lengths.memory,
    };
    try {
      return await this.pool.run('findChunks', input);
    } finally {
      this.#ring.release(address);
    }
  }

  /** Ends what is still going on. */
  async close(): Promise<void> {
    await this.#getter.close();
    await this.pool.close();
  }

  readonly #partsInSeeds = (chunk: number): readonly SeedPart[] | undefined =>
    partsInSeeds(this.#seeds, this.index.id(chunk));

  #counting(lengths: readonly number[]): (outcome: Uint8Array) => Uint8Array {
    return (outcome) => {
      for (const [i, length] of lengths.entries()) {
        if (outcome[i] === FETCHED.fromSeed) add(this.#counts.fromSeed, length);
        if (outcome[i] === FETCHED.fromStore) add(this.#counts.fromStore, length);
        if (outcome[i] === FETCHED.fromRemote) add(this.#counts.fromRemote, length);
      }
      return outcome;
    };
  }
}

function wantedSlots(threadCount: number, isRemote: boolean): number {
  if (isRemote) return REMOTE_SLOTS;
  return threadCount === 0 ? FEWEST_SLOTS : 2 * threadCount + MORE_SLOTS;
}

function onePiece(parts: readonly SeedPart[] | undefined): SeedPart | undefined {
  return parts?.length === 1 && parts[0].path === undefined ? parts[0] : undefined;
}

interface MutableCount {
  chunkCount: number;
  byteCount: number;
}

function count(): MutableCount {
  return { chunkCount: 0, byteCount: 0 };
}

function add(to: MutableCount, length: number): void {
  to.chunkCount += 1;
  to.byteCount += length;
}

/** The longest chunk that the index has, or that a seed of the same chunk sizes can give. */
function longestChunk(index: ChunkIndex): number {
  let longest = Math.min(index.chunkSizes.max, index.totalSize);
  for (let i = 0; i < index.count; i++) longest = Math.max(longest, index.size(i));
  return longest;
}
