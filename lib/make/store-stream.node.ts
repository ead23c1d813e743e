/**
 * The heart of `make`: a stream of bytes becomes chunks in a store and the index that lists them.
 * Segments of the stream are scanned side by side; where a segment's first chunk begins is known when
 * the segment before it is cut; then its chunks are digested and stored side by side, too
 * (spec/architecture.md, "Pipeline").
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder, type IndexHeader } from '../../formats/chunk-index.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import type { ChunkStore } from '../../store/chunk-store.ts';
import { KERNEL_BYTES } from '../chunking/kernel/kernel.ts';
import { openScanner } from '../chunking/open-scanner.node.ts';
import type { ChunkerName, ChunkScanner } from '../chunking/scanner.ts';
import { stitchEnds } from '../chunking/stitch.ts';
import { throwIfAborted } from '../errors.ts';
import { copyBytes } from '../os/memory.node.ts';
import type { ProgressSink } from '../progress.ts';
import { type ChunkPutter, isDescription, openChunkPutter } from '../stores/chunk-putter.node.ts';
import { isRemote, type StoreDescription } from '../stores/store-description.ts';
import { createClaimsMemory } from '../work/claims.ts';
import type { JobSetup } from '../work/job-context.node.ts';
import { openJobPool } from '../work/job-pool.node.ts';
import type { StoreChunksOutput } from '../work/jobs/store-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { SegmentRing } from '../work/segment-ring.ts';
import { unattended } from '../work/unattended.ts';
import type { ByteSink } from './byte-sink.ts';
import { publishIndex } from './publish-index.node.ts';
import type { DataSegment, Segment, SegmentLayout, SegmentSource, ZeroSegment } from './segment.ts';

export interface StreamStorerOptions {
  /** Where chunks go. An opened store works without threads only, and stays open. */
  readonly store: StoreDescription | ChunkStore;
  readonly header: IndexHeader;
  /** buzhash if left out. */
  readonly chunker?: ChunkerName;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  /** Bytes of a segment, if the longest chunk is not longer. */
  readonly segmentLength?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Told why, before a gc in the store is waited for. */
  readonly onWait?: (reason: string) => void;
}

export interface StoredStream {
  readonly index: ChunkIndex;
  /** Digest of the whole stream. */
  readonly digest: ChunkId;
  /** Chunks that the store had already. */
  readonly reusedChunkCount: number;
}

const SEGMENT_LENGTH = 4 * 1024 * 1024;
/** A job stores about this many bytes: enough to be worth a message, and few enough to share out. */
const STORED_AT_ONCE = 1024 * 1024;
const IN_SEQUENCE = { inSequence: true } as const;
/** Bytes that the hash of the chunker needs. */
const SMALLEST_TAIL = 48;
/** Bytes that the ring may have, if chunks are so large that it would otherwise become larger. */
const LARGE_RING = 256 * 1024 * 1024;
/** A stream fills two slots at a time, and one is worked on. */
const FEWEST_SLOTS = 3;
/** Hundreds of chunks that wait for a server; more would only take memory. */
const SLOTS_ON_THEIR_WAY = 6;

function layoutFor(longestChunk: number, segmentLength: number): SegmentLayout {
  const tailLength = Math.max(longestChunk, SMALLEST_TAIL);
  return { tailLength, length: Math.max(segmentLength, tailLength) };
}

function openRing(
  { length, tailLength }: SegmentLayout,
  { threadCount, store }: StreamStorerOptions,
): SegmentRing {
  const slotSize = length + tailLength;
  const isElsewhere = isDescription(store) && isRemote(store);
  const most = isElsewhere ? SLOTS_ON_THEIR_WAY : 2 * threadCount + 8;
  const wanted = threadCount === 0 ? FEWEST_SLOTS : most;
  const slotCount = Math.max(FEWEST_SLOTS, Math.min(wanted, Math.floor(LARGE_RING / slotSize)));
  return new SegmentRing({ reservedSize: KERNEL_BYTES, slotSize, slotCount, copy: copyBytes });
}

/** The pool of a pipeline that stores chunks. */
export function openStoringPool(
  setup: JobSetup,
  store: StoreDescription | ChunkStore,
  threadCount: number,
): JobPool {
  if (!isDescription(store)) return openJobPool(setup, 0, { store });
  if (!isRemote(store)) return openJobPool({ ...setup, store }, threadCount);
  return openJobPool({ ...setup, compression: store.compression }, threadCount, { helps: false });
}

/** A segment whose chunks are known and on their way. */
interface Cut {
  /** Offset in the stream behind the last chunk. */
  readonly end: number;
  readonly batches: readonly Batch[];
}

/** Chunks that follow one another. */
interface Batch {
  readonly lengths: readonly number[];
  readonly stored: Promise<StoreChunksOutput>;
}

/** Stores one stream. */
export class StreamStorer {
  readonly options: StreamStorerOptions;
  /** Also for jobs that make the bytes of the stream. */
  readonly pool: JobPool;
  readonly #layout: SegmentLayout;
  readonly #ring: SegmentRing;
  readonly #scanner: ChunkScanner;
  readonly #builder = new IndexBuilder();
  #reusedCount = 0;
  readonly #putter: ChunkPutter;
  #failure: { readonly error: unknown } | undefined;
  #zeroLength: number | undefined;
  #zerosDigested: Promise<void> = Promise.resolve();
  // Of the latest segment; each comes after the same of the segment before it.
  #digestBegun: Promise<unknown> = Promise.resolve();
  #cut: Promise<Cut> = Promise.resolve({ end: 0, batches: [] });
  #indexed: Promise<void> = Promise.resolve();

  constructor(options: StreamStorerOptions) {
    const { header, chunker = 'buzhash', store, threadCount } = options;
    const { segmentLength = SEGMENT_LENGTH } = options;
    const chunking = { chunker, chunkSizes: header.chunkSizes };
    this.options = options;
    this.#layout = layoutFor(header.chunkSizes.max, segmentLength);
    this.#ring = openRing(this.#layout, options);
    const { memory } = this.#ring;
    this.#scanner = openScanner(chunking, memory);
    const digest = digestOfFlags(header.featureFlags);
    const setup: JobSetup = { memory, claims: createClaimsMemory(), digest, chunking };
    this.pool = openStoringPool(setup, store, threadCount);
    const bytes = (address: number, length: number) => this.#ring.view(address, length);
    const { signal } = options;
    this.#putter = openChunkPutter({ store, pool: this.pool, bytes, ...(signal && { signal }) });
  }

  /**
   * Cuts the stream into chunks, puts them into the store and waits until they are durable: its index
   * may be published then.
   * @throws whatever the stream and the store throw; PipelineError for chunk sizes that cannot be kept
   */
  async store(source: SegmentSource): Promise<StoredStream> {
    const { signal, header } = this.options;
    for await (const segment of source.segments(this.#ring, this.#layout)) {
      if (this.#failure !== undefined) break;
      throwIfAborted(signal);
      await this.#take(segment, source.totalBytes);
    }
    await this.#indexed;
    await this.#digestBegun;
    const digest = await this.pool.run('finishDigest', undefined, IN_SEQUENCE);
    if (this.#failure !== undefined) throw this.#failure.error;
    source.finished?.();
    throwIfAborted(signal);
    await this.#putter.flush();
    const index = this.#builder.finish(header);
    return { index, digest, reusedChunkCount: this.#reusedCount };
  }

  /** Ends what is still going on. */
  async close(): Promise<void> {
    await this.#putter.close();
    await this.pool.close();
  }

  /** Resolves when the next segment may come. */
  #take(segment: Segment, totalBytes: number | undefined): Promise<void> {
    const isWhole = segment.kind === 'data' && segment.availableLength === segment.length;
    // The first segment decides, before there are any jobs in sequence.
    if (segment.start === 0 && !isWhole) this.pool.start();
    const digested = segment.kind === 'zeros' ? this.#takeZeros(segment) : this.#takeData(segment);
    const indexed = this.#index(this.#indexed, this.#cut, totalBytes);
    this.#indexed = indexed;
    for (const promise of [digested, indexed, this.#cut]) promise.catch(this.#fail);
    if (segment.kind === 'zeros') return this.#oneAhead(digested);
    void Promise.allSettled([digested, indexed]).then(() => this.#ring.release(segment.address));
    return Promise.resolve();
  }

  /** Zeros take no slot; what bounds them is the digest of those before. */
  #oneAhead(digested: Promise<void>): Promise<void> {
    const before = this.#zerosDigested;
    this.#zerosDigested = digested.catch(this.#fail);
    return before;
  }

  readonly #fail = (error: unknown): void => {
    this.#failure ??= { error };
  };

  #takeData({ start, address, length, availableLength, from }: DataSegment): Promise<void> {
    const input = { address, length, availableLength, ...(from ? { from } : {}) };
    const scanned = unattended(this.pool.run('scanSegment', input));
    this.#cut = this.#cutNext(async (first) => {
      const bytes = this.#ring.view(address, availableLength);
      const ends = stitchEnds(this.#scanner, bytes, first, length, await scanned);
      return { end: ends.at(-1) ?? first, batches: this.#storeChunks(address, first, ends) };
    }, start);
    return this.#digest(scanned, () =>
      this.pool.run('digestStream', { address, length }, IN_SEQUENCE),
    );
  }

  /** The same without looking at any bytes: all chunks of a run of zeros are equal. */
  #takeZeros({ start, length }: ZeroSegment): Promise<void> {
    this.#cut = this.#cutNext(async (first) => {
      const zeroLength = this.#zeroChunkLength();
      const count = Math.max(0, Math.ceil((length - first) / zeroLength));
      const lengths = new Array<number>(count).fill(zeroLength);
      const stored = count === 0 ? [] : [{ lengths, stored: this.#storeZeros(zeroLength, count) }];
      return { end: first + count * zeroLength, batches: stored };
    }, start);
    return this.#digest(Promise.resolve(), () =>
      this.pool.run('digestZeros', { length }, IN_SEQUENCE),
    );
  }

  #zeroChunkLength(): number {
    this.#zeroLength ??= this.#scanner.firstChunk(new Uint8Array(this.#layout.tailLength));
    return this.#zeroLength;
  }

  /** Each thread knows the digest of a zero chunk, and the store gets it once. */
  async #storeZeros(length: number, count: number): Promise<StoreChunksOutput> {
    const { digests, reusedCount } = await this.#putter.storeZeros(length);
    const repeated = new Uint8Array(count * digests.length);
    for (let i = 0; i < count; i++) repeated.set(digests, i * digests.length);
    return { digests: repeated, reusedCount: reusedCount + count - 1 };
  }

  /** Begins jobs for the digest of the whole stream in order, without waiting for them to end. */
  #digest(ready: Promise<unknown>, run: () => Promise<void>): Promise<void> {
    const begun = this.#digestBegun.then(() => ready).then(() => ({ ended: unattended(run()) }));
    this.#digestBegun = unattended(begun);
    return begun.then(({ ended }) => ended);
  }

  /**
   * @param cut called with the offset of the first chunk, returns offsets, too, all relative to
   * @param start of the segment in the stream
   */
  async #cutNext(cut: (first: number) => Promise<Cut>, start: number): Promise<Cut> {
    const before = await this.#cut;
    const { end, batches } = await cut(before.end - start);
    return { end: start + end, batches };
  }

  /** Chunks of the segment at `address`. @param first offset of the first. @param ends of all */
  #storeChunks(address: number, first: number, ends: readonly number[]): readonly Batch[] {
    const batches: Batch[] = [];
    let start = first;
    let lengths: number[] = [];
    let end = first;
    for (const [i, next] of ends.entries()) {
      lengths.push(next - end);
      end = next;
      if (end - start < STORED_AT_ONCE && i < ends.length - 1) continue;
      const input = { address: address + start, lengths };
      batches.push({ lengths, stored: unattended(this.#putter.store(input)) });
      start = end;
      lengths = [];
    }
    return batches;
  }

  async #index(before: Promise<void>, cut: Promise<Cut>, totalBytes?: number): Promise<void> {
    const builder = this.#builder;
    await before;
    const { batches } = await cut;
    for (const { lengths, stored } of batches) {
      const { digests, reusedCount } = await stored;
      this.#reusedCount += reusedCount;
      for (const [i, length] of lengths.entries()) builder.addDigest(digests, i, length);
      this.options.onProgress?.({
        phase: 'make',
        doneBytes: builder.totalSize,
        chunkCount: builder.count,
        reusedChunkCount: this.#reusedCount,
        ...(totalBytes === undefined ? {} : { totalBytes }),
      });
    }
  }
}

/**
 * Stores a stream and then publishes its index: the index appears when all its chunks are durable, or
 * not at all. No gc removes any of them meanwhile.
 * @throws what the stream and the store throw; CasError `LEASE_HELD`, `LEASE_LOST`
 */
export async function makeIndex(
  source: SegmentSource,
  storer: StreamStorer,
  sink: ByteSink,
): Promise<StoredStream> {
  return publishIndex(sink, storer.options, () => storer.store(source));
}
