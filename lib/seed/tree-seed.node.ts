/**
 * Folders as seeds: read as the archive behind the index was, and cut into chunks, to find out which of
 * the index's chunks they hold (spec/formats/extraction.md, "Seeds").
 */
import { closeSync, constants, openSync } from 'node:fs';
import { CHUNK_ID_LENGTH } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { KERNEL_BYTES } from '../chunking/kernel/kernel.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { throwIfAborted } from '../errors.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { type PackTreeOptions, type Span, spanTree } from '../make/pack-tree.node.ts';
import { SpanCutter, type Stretch, stretchLength } from '../make/span-cutter.node.ts';
import { type SpanPart, SpanWindow } from '../make/span-window.node.ts';
import { copyBytes } from '../os/memory.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { ProgressSink } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';
import { openJobPool, WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { SegmentRing } from '../work/segment-ring.ts';
import type { Seed } from './seed.ts';
import { TreeParts } from './tree-parts.node.ts';
import { WantedChunks } from './wanted-chunks.ts';

export interface TreeSeedOptions {
  /** How the archive was cut; an index does not say it. buzhash if left out. */
  readonly chunker?: ChunkerName;
  /** How owners were recorded; an index does not say it either. */
  readonly uidShift?: UidShift;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Told when an entry is begun and ended. The path is relative, that of the root is empty. */
  readonly onEntry?: PackTreeOptions['onEntry'];
}

/** A job digests about this many bytes. */
const DIGESTED_AT_ONCE = 1024 * 1024;
/** Bytes that the ring may have, if chunks are so large that it would otherwise become larger. */
const LARGE_RING = 256 * 1024 * 1024;
const FEWEST_SLOTS = 2;
const FEW_BATCHES = 8;

/**
 * Searches a folder for the chunks of an index.
 * @param path of the folder
 * @throws PipelineError if the folder cannot be read; `ABORTED`
 */
export async function openTreeSeed(
  path: string,
  index: ChunkIndex,
  options: TreeSeedOptions,
): Promise<Seed> {
  const root = openRoot(path);
  try {
    const parts = new TreeParts(root, index.count);
    try {
      const wanted = new WantedChunks(index);
      const search = new TreeSearch({ root, label: path, index, wanted, parts }, options);
      await search.run();
      return seedOf(path, root, wanted, parts);
    } catch (error) {
      parts.close();
      throw error;
    }
  } catch (error) {
    closeSync(root);
    throw error;
  }
}

function openRoot(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function seedOf(label: string, root: number, wanted: WantedChunks, parts: TreeParts): Seed {
  return {
    label,
    find(id) {
      const chunk = wanted.findId(id);
      return chunk === undefined ? undefined : parts.find(chunk);
    },
    close() {
      parts.close();
      closeSync(root);
    },
  };
}

interface SearchedTree {
  readonly root: number;
  readonly label: string;
  readonly index: ChunkIndex;
  readonly wanted: WantedChunks;
  /** What is found. */
  readonly parts: TreeParts;
}

/** Chunks whose digests are on their way. */
interface Batch {
  readonly lengths: readonly number[];
  readonly parts: readonly (readonly SpanPart[])[];
}

class TreeSearch {
  readonly #tree: SearchedTree;
  readonly #options: TreeSeedOptions;
  readonly #ring: SegmentRing;
  readonly #pool: JobPool;
  readonly #breathe = createBreather();
  #pending: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(tree: SearchedTree, options: TreeSeedOptions) {
    const { chunkSizes, digest } = tree.index;
    const { threadCount, chunker = 'buzhash' } = options;
    this.#tree = tree;
    this.#options = options;
    const slotSize = stretchLength(chunkSizes.max);
    const most = Math.floor(LARGE_RING / slotSize);
    const slotCount = Math.max(FEWEST_SLOTS, Math.min(2 * threadCount + 4, most));
    const reservedSize = KERNEL_BYTES;
    this.#ring = new SegmentRing({ reservedSize, slotSize, slotCount, copy: copyBytes });
    const chunking = { chunker, chunkSizes };
    this.#pool = openJobPool({ memory: this.#ring.memory, digest, chunking }, threadCount);
  }

  async run(): Promise<void> {
    const window = new SpanWindow(this.#spans());
    const { root, index } = this.#tree;
    const cutting = { window, root, ring: this.#ring, pool: this.#pool };
    const longestChunk = index.chunkSizes.max;
    const cutter = new SpanCutter({ ...cutting, longestChunk, unreadable: 'zeros' });
    try {
      await window.fill(0);
      while (window.available > 0) {
        throwIfAborted(this.#options.signal);
        if (this.#failure !== undefined) throw this.#failure.error;
        this.#take(await cutter.cut(), window);
        if (window.start >= WORTH_THREADS) this.#pool.start();
        this.#options.onProgress?.({ phase: 'seed', doneBytes: window.start });
        await this.#breathe();
        await window.fill(0);
      }
      await this.#pending;
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#tree.parts.finish();
    } finally {
      await window.close();
      await this.#pool.close();
    }
  }

  #spans(): AsyncIterable<Span> {
    const { root, label, index } = this.#tree;
    const { signal, onEntry, uidShift } = this.#options;
    const { featureFlags } = index;
    const walk: PackTreeOptions = {
      label,
      featureFlags,
      applyExcludeFiles: (featureFlags & FEATURE.excludeFile) !== 0n,
      ...(signal ? { signal } : {}),
      ...(onEntry ? { onEntry } : {}),
      ...(uidShift ? { uidShift } : {}),
    };
    let batchCount = 0;
    return spanTree(root, walk, (batch) => {
      batchCount += 1;
      if (batchCount === FEW_BATCHES) this.#pool.start();
      return this.#pool.run('packEntries', batch);
    });
  }

  /** Sends the chunks of a stretch away to be digested, and moves on behind them. */
  #take({ address, ends }: Stretch, window: SpanWindow): void {
    const digested: Promise<unknown>[] = [];
    let lengths: number[] = [];
    let parts: (readonly SpanPart[])[] = [];
    let start = 0;
    for (const [i, end] of ends.entries()) {
      const length = end - (i === 0 ? 0 : ends[i - 1]);
      lengths.push(length);
      parts.push([...window.parts(length)]);
      window.advance(length);
      if (end - start < DIGESTED_AT_ONCE && i < ends.length - 1) continue;
      digested.push(this.#digest(address + start, { lengths, parts }));
      start = end;
      lengths = [];
      parts = [];
    }
    const before = this.#pending;
    this.#pending = Promise.all(digested).then(() => {
      this.#ring.release(address);
      return before;
    });
  }

  /** Never rejects. */
  async #digest(address: number, batch: Batch): Promise<void> {
    try {
      const { lengths } = batch;
      this.#note(batch, await this.#pool.run('digestChunks', { address, lengths }));
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #note({ lengths, parts }: Batch, digests: Uint8Array): void {
    const { index, wanted, parts: found } = this.#tree;
    for (const [i, length] of lengths.entries()) {
      const digest = digests.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
      const chunk = wanted.find(digest);
      if (chunk === undefined || found.has(chunk) || index.size(chunk) !== length) continue;
      found.add(chunk, parts[i]);
    }
  }
}
