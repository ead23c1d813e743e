/**
 * Stores the archive of a tree as chunks with the help of those that are known already: where the spans
 * ahead describe a known chunk that the store has, no file is read; all else is read, cut, digested and
 * stored on all cores. The index is the same as without (spec/formats/cache.md, "Use").
 */
import { CHUNK_ID_LENGTH, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder, type IndexHeader } from '../../formats/chunk-index.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import type { ChunkStore } from '../../store/chunk-store.ts';
import { KERNEL_BYTES } from '../chunking/kernel/kernel.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { createDigest } from '../digest/digest.node.ts';
import { throwIfAborted } from '../errors.ts';
import { copyBytes } from '../os/memory.node.ts';
import type { ProgressSink } from '../progress.ts';
import type { CacheStatistics } from '../statistics.ts';
import { type ChunkPutter, openChunkPutter } from '../stores/chunk-putter.node.ts';
import type { StoreDescription } from '../stores/store-description.ts';
import { createBreather } from '../work/breathe.ts';
import { createClaimsMemory } from '../work/claims.ts';
import type { JobSetup } from '../work/job-context.node.ts';
import { WORTH_THREADS } from '../work/job-pool.node.ts';
import type { StoreChunksInput, StoreChunksOutput } from '../work/jobs/store-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { SegmentRing } from '../work/segment-ring.ts';
import { unattended } from '../work/unattended.ts';
import { CachedChunks } from './cached-chunks.ts';
import { ChunkDescriber, KEY_LENGTH } from './chunk-description.node.ts';
import type { ContentReference } from './held-folder.node.ts';
import type { Span } from './pack-tree.node.ts';
import { SpanCutter, type Stretch, stretchLength } from './span-cutter.node.ts';
import { SpanWindow } from './span-window.node.ts';
import { openStoringPool } from './store-stream.node.ts';

export interface SpanStorerOptions {
  /** Where chunks go. An opened store works without threads only, and stays open. */
  readonly store: StoreDescription | ChunkStore;
  readonly header: IndexHeader;
  /** buzhash if left out. */
  readonly chunker?: ChunkerName;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** A tree whose archive is to be stored. */
export interface SpannedTree {
  /** Descriptor of its root. */
  readonly root: number;
  readonly spans: AsyncIterable<Span>;
  /** Chunks of earlier archives. */
  readonly known: CachedChunks;
  /**
   * Called once before the first content is read.
   * @returns whether a file is at rest, by its identity: only what is made of such files is remembered
   */
  readonly rest: () => Promise<(identity: Uint8Array) => boolean>;
  /** Told of each file that changed while it was read. */
  readonly onChanged: (content: ContentReference) => void;
}

export interface StoredSpans {
  readonly index: ChunkIndex;
  /** Chunks that were read although the store had them. */
  readonly reusedChunkCount: number;
  /** What the next archive of the tree may know. */
  readonly remembered: CachedChunks;
  readonly statistics: CacheStatistics;
}

/** A job stores about this many bytes. */
const STORED_AT_ONCE = 1024 * 1024;
/** Known chunks that are put into the index at a time. */
const HITS_AT_ONCE = 1024;
/** Bytes that the ring may have, if chunks are so large that it would otherwise become larger. */
const LARGE_RING = 256 * 1024 * 1024;
const FEWEST_SLOTS = 2;
const NOT_REMEMBERED = -1;

/** Stores one archive. */
export class SpanStorer {
  /** Also for jobs that read the tree. */
  readonly pool: JobPool;
  readonly #options: SpanStorerOptions;
  readonly #ring: SegmentRing;
  readonly #putter: ChunkPutter;
  readonly #describer = new ChunkDescriber(createDigest('sha256'));
  readonly #builder = new IndexBuilder();
  readonly #remembered = new CachedChunks();
  readonly #counts = { hitCount: 0, missCount: 0, invalidatedCount: 0, addedCount: 0 };
  readonly #breathe = createBreather();
  /** Chunks in order that are not in the index yet. */
  #waiting: Chunk[] = [];
  /** Jobs that begin when the next stretch is being read, so that reading comes first. */
  #postponed: (() => void)[] = [];
  #indexed: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #reusedCount = 0;
  #readBytes = 0;
  /** Row of the known chunk that followed the latest one that was used. */
  #expected = 0;

  constructor(options: SpanStorerOptions) {
    const { header, store, threadCount, chunker = 'buzhash' } = options;
    this.#options = options;
    const slotSize = stretchLength(header.chunkSizes.max);
    const most = Math.floor(LARGE_RING / slotSize);
    const slotCount = Math.max(FEWEST_SLOTS, Math.min(2 * threadCount + 4, most));
    const ring = { reservedSize: KERNEL_BYTES, slotSize, slotCount, copy: copyBytes };
    this.#ring = new SegmentRing(ring);
    const digest = digestOfFlags(header.featureFlags);
    const chunking = { chunker, chunkSizes: header.chunkSizes };
    const claims = createClaimsMemory();
    const setup: JobSetup = { memory: this.#ring.memory, claims, digest, chunking };
    this.pool = openStoringPool(setup, store, threadCount);
    const bytes = (address: number, length: number) => this.#ring.view(address, length);
    const { signal } = options;
    this.#putter = openChunkPutter({ store, pool: this.pool, bytes, ...(signal && { signal }) });
  }

  /**
   * Puts the chunks that the store lacks into it and waits until all are durable: the index may be
   * published then.
   * @throws what the walk and the store throw; PipelineError `SOURCE_CHANGED` for a file that can no
   * longer be read as its entry says
   */
  async store(tree: SpannedTree): Promise<StoredSpans> {
    const { header, signal } = this.#options;
    const window = new SpanWindow(tree.spans);
    const { root } = tree;
    const longestChunk = header.chunkSizes.max;
    const cutting = { window, root, ring: this.#ring, pool: this.pool, longestChunk };
    const cutter = new SpanCutter({ ...cutting, unreadable: 'failure' });
    let isAtRest: ((identity: Uint8Array) => boolean) | undefined;
    try {
      let row = await this.#findKnown(window, tree.known);
      while (window.available > 0) {
        throwIfAborted(signal);
        if (this.#failure !== undefined) throw this.#failure.error;
        if (row === undefined) {
          isAtRest ??= await tree.rest();
          const stretch = await cutter.cut(() => this.#beginPostponed());
          row = await this.#takeStretch(stretch, window, tree, isAtRest);
        } else {
          this.#takeKnown(window, tree.known, row);
          cutter.beginAnew();
          row = undefined;
        }
        await this.#breathe();
        row ??= await this.#findKnown(window, tree.known);
      }
    } finally {
      await window.close();
    }
    return this.#finish();
  }

  async #finish(): Promise<StoredSpans> {
    this.#queueHits();
    this.#beginPostponed();
    await this.#indexed;
    throwIfAborted(this.#options.signal);
    await this.#putter.flush();
    return {
      index: this.#builder.finish(this.#options.header),
      reusedChunkCount: this.#reusedCount,
      remembered: this.#remembered,
      statistics: this.#counts,
    };
  }

  /** Ends what is still going on. */
  async close(): Promise<void> {
    await this.#putter.close();
    await this.pool.close();
  }

  /** The row of the next chunk, if it is known and the store has it. */
  async #findKnown(window: SpanWindow, known: CachedChunks): Promise<number | undefined> {
    await window.fill(0);
    if (window.available === 0) return undefined;
    // In an archive that has not changed the next row is the right one: nothing need be looked up.
    const expected = this.#expected < known.count ? [this.#expected] : [];
    let found = await this.#firstTrue(window, known, expected);
    let candidates: readonly number[] = [];
    if (found === undefined && known.count > 0) {
      await window.fill(KEY_LENGTH);
      candidates = known.candidates(this.#describer.key(window));
      found = await this.#firstTrue(window, known, candidates);
    }
    const isLost =
      found !== undefined && !(await this.#putter.has(chunkIdFromBytes(known.id(found))));
    if (found !== undefined && !isLost) {
      this.#expected = found + 1;
      return found;
    }
    this.#expected = Number.POSITIVE_INFINITY;
    if (isLost || expected.length + candidates.length === 0) this.#counts.missCount += 1;
    else this.#counts.invalidatedCount += 1;
    return undefined;
  }

  /** The first of `rows` that says what the window says. */
  async #firstTrue(
    window: SpanWindow,
    known: CachedChunks,
    rows: readonly number[],
  ): Promise<number | undefined> {
    for (const row of rows) {
      const length = known.length(row);
      await window.fill(length);
      if (window.available < length) continue;
      if (known.describes(row, this.#describer.describe(window, length))) return row;
    }
    return undefined;
  }

  /** Moves on behind a known chunk. */
  #takeKnown(window: SpanWindow, known: CachedChunks, row: number): void {
    const length = known.length(row);
    this.#counts.hitCount += 1;
    this.#waiting.push({ length, row: this.#remembered.addFrom(known, row) });
    if (this.#waiting.length >= HITS_AT_ONCE) this.#queueHits();
    window.advance(length);
  }

  /** Stores chunks of a stretch, up to one that is known. @returns its row */
  async #takeStretch(
    { address, ends, changed }: Stretch,
    window: SpanWindow,
    { known, onChanged }: SpannedTree,
    isAtRest: (identity: Uint8Array) => boolean,
  ): Promise<number | undefined> {
    for (const content of changed) onChanged(content);
    const moving = new Set(changed);
    const isStill = (content: ContentReference) =>
      isAtRest(content.identity) && !moving.has(content);
    const stored: Promise<unknown>[] = [];
    let row: number | undefined;
    let start = 0;
    this.#queueHits();
    for (const [i, end] of ends.entries()) {
      if (i > 0 && known.count > 0) row = await this.#findKnown(window, known);
      if (row !== undefined) break;
      const length = end - (i === 0 ? 0 : ends[i - 1]);
      this.#waiting.push({ length, row: await this.#remember(window, length, isStill) });
      window.advance(length);
      this.#readBytes += length;
      if (end - start < STORED_AT_ONCE) continue;
      stored.push(this.#queueStored(address + start));
      start = end;
    }
    stored.push(this.#queueStored(address + start));
    void Promise.allSettled(stored).then(() => this.#ring.release(address));
    if (this.#readBytes >= WORTH_THREADS) this.pool.start();
    return row;
  }

  /** @returns the row that remembers the chunk at the begin of the window, if it may be remembered */
  async #remember(
    window: SpanWindow,
    length: number,
    isStill: (content: ContentReference) => boolean,
  ): Promise<number> {
    for (const part of window.parts(length)) {
      if (!(part instanceof Uint8Array) && !isStill(part.reference)) return NOT_REMEMBERED;
    }
    await window.fill(Math.max(KEY_LENGTH, length));
    this.#counts.addedCount += 1;
    const key = this.#describer.key(window).slice();
    return this.#remembered.add(key, length, this.#describer.describe(window, length));
  }

  /** The chunks that wait are known. */
  #queueHits(): void {
    const chunks = this.#waiting.splice(0);
    if (chunks.length === 0) return;
    this.#queue(this.#indexed.then(() => this.#addToIndex(chunks)));
  }

  /** The chunks that wait are to be stored. @param address of the first; the others follow */
  #queueStored(address: number): Promise<unknown> {
    const chunks = this.#waiting.splice(0);
    if (chunks.length === 0) return Promise.resolve();
    const input: StoreChunksInput = { address, lengths: chunks.map(({ length }) => length) };
    const { result, begin } = postponed(() => this.#putter.store(input));
    this.#postponed.push(begin);
    const before = this.#indexed;
    this.#queue(result.then((stored) => before.then(() => this.#addStored(chunks, stored))));
    return result;
  }

  #queue(indexed: Promise<void>): void {
    this.#indexed = indexed;
    indexed.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  #beginPostponed(): void {
    for (const begin of this.#postponed.splice(0)) begin();
  }

  #addStored(chunks: readonly Chunk[], { digests, reusedCount }: StoreChunksOutput): void {
    this.#reusedCount += reusedCount;
    for (const [i, { length, row }] of chunks.entries()) {
      this.#builder.addDigest(digests, i, length);
      if (row === NOT_REMEMBERED) continue;
      const start = i * CHUNK_ID_LENGTH;
      this.#remembered.id(row).set(digests.subarray(start, start + CHUNK_ID_LENGTH));
    }
    this.#tell();
  }

  #addToIndex(chunks: readonly Chunk[]): void {
    for (const { length, row } of chunks) {
      this.#builder.addDigest(this.#remembered.id(row), 0, length);
    }
    this.#tell();
  }

  #tell(): void {
    const { totalSize, count } = this.#builder;
    const reusedChunkCount = this.#reusedCount;
    const event = { phase: 'make', doneBytes: totalSize, chunkCount: count, reusedChunkCount };
    this.#options.onProgress?.(event);
  }
}

/** A chunk on its way into the index. */
interface Chunk {
  readonly length: number;
  /** Of {@link StoredSpans.remembered}, or `NOT_REMEMBERED`. */
  readonly row: number;
}

/** Work that is begun later. */
function postponed<Value>(work: () => Promise<Value>): {
  readonly result: Promise<Value>;
  readonly begin: () => void;
} {
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  return { result: unattended(begun.then(work)), begin };
}
