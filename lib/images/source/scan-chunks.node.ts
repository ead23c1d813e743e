/**
 * Reads an image by its content-defined chunks: cut and digested on all cores, out in order, bytes and
 * digests together. The cuts are those of `make` (spec/formats/chunker.md); nothing is stored. Used by
 * indexes and deltas of files in which data moves.
 */
import type { DigestName } from '../../../formats/chunk-id.ts';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { KERNEL_BYTES } from '../../chunking/kernel/kernel.ts';
import { openScanner } from '../../chunking/open-scanner.node.ts';
import type { ChunkerName, ChunkScanner } from '../../chunking/scanner.ts';
import { stitchEnds } from '../../chunking/stitch.ts';
import type { Segment, SegmentSource } from '../../make/segment.ts';
import { copyBytes } from '../../os/memory.node.ts';
import { inOrder } from '../../work/in-order.ts';
import { openJobPool, WORTH_THREADS } from '../../work/job-pool.node.ts';
import type { JobPool } from '../../work/jobs.node.ts';
import { SegmentRing } from '../../work/segment-ring.ts';
import { unattended } from '../../work/unattended.ts';

export interface ChunkScanOptions {
  readonly chunkSizes: ChunkSizes;
  readonly digest: DigestName;
  /** buzhash if left out. */
  readonly chunker?: ChunkerName;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  readonly signal?: AbortSignal;
}

/** Chunks one behind the other. */
export interface ChunkPortion {
  /** Offset of the first in the image, in bytes. */
  readonly start: number;
  /** Bytes of each. */
  readonly lengths: readonly number[];
  /** 32 bytes for each. */
  readonly digests: Uint8Array;
  /** Of all of them; undefined if they are zeros. Valid until {@link release}. */
  readonly bytes: Uint8Array | undefined;
  /** Gives the memory back; further calls do nothing. */
  readonly release: () => void;
}

const SEGMENT_LENGTH = 2 * 1024 * 1024;
/** Bytes that the hash of the chunker needs. */
const SMALLEST_TAIL = 48;
const DIGESTED_AT_ONCE = 1024 * 1024;
/** One is filled, one is looked at by the caller. */
const SLOTS_BESIDES = 3;

interface Cut {
  /** Of the first chunk, relative to the segment. */
  readonly first: number;
  readonly ends: readonly number[];
}

/** Reads images, one after another. */
export class ChunkScan {
  readonly #options: ChunkScanOptions;
  readonly #ring: SegmentRing;
  readonly #pool: JobPool;
  readonly #scanner: ChunkScanner;
  readonly #layout: { readonly length: number; readonly tailLength: number };
  readonly #ahead: number;
  /** Offset behind the last chunk that was cut. */
  #cut: Promise<number> = Promise.resolve(0);

  constructor(options: ChunkScanOptions) {
    const { chunkSizes, digest, threadCount, chunker = 'buzhash' } = options;
    this.#options = options;
    const tailLength = Math.max(chunkSizes.max, SMALLEST_TAIL);
    this.#layout = { tailLength, length: Math.max(SEGMENT_LENGTH, tailLength) };
    this.#ahead = 2 * (threadCount + 1);
    this.#ring = new SegmentRing({
      reservedSize: KERNEL_BYTES,
      slotSize: this.#layout.length + tailLength,
      slotCount: this.#ahead + SLOTS_BESIDES,
      copy: copyBytes,
    });
    const { memory } = this.#ring;
    const chunking = { chunker, chunkSizes };
    this.#scanner = openScanner(chunking, memory);
    this.#pool = openJobPool({ memory, digest, chunking }, threadCount);
  }

  /**
   * The image in order. The caller releases every portion, and all of them but one before it takes the
   * next.
   * @throws PipelineError `ABORTED`, `SOURCE_CHANGED`, `IO`, `USAGE` for sizes that cannot be kept
   */
  async *scan(source: SegmentSource): AsyncGenerator<ChunkPortion> {
    const { signal } = this.#options;
    if ((source.totalBytes ?? Number.POSITIVE_INFINITY) >= WORTH_THREADS) this.#pool.start();
    this.#cut = Promise.resolve(0);
    const segments = source.segments(this.#ring, this.#layout);
    yield* inOrder(segments, (segment) => this.#take(segment), { most: this.#ahead, signal });
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #take(segment: Segment): Promise<ChunkPortion> {
    const before = this.#cut;
    const cut = this.#cutSegment(segment, before);
    this.#cut = unattended(cut.then(({ first, ends }) => segment.start + (ends.at(-1) ?? first)));
    if (segment.kind === 'zeros') return this.#zeros(segment.start, await cut);
    const { address, start } = segment;
    let isReleased = false;
    const release = (): void => {
      if (!isReleased) this.#ring.release(address);
      isReleased = true;
    };
    try {
      const { first, ends } = await cut;
      const lengths = lengthsOf(first, ends);
      const digests = await this.#digest(address + first, lengths);
      const bytes = this.#ring.view(address + first, (ends.at(-1) ?? first) - first);
      return { start: start + first, lengths, digests, bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #cutSegment(segment: Segment, before: Promise<number>): Promise<Cut> {
    if (segment.kind === 'zeros') {
      const first = (await before) - segment.start;
      const length = this.#scanner.firstChunk(new Uint8Array(this.#layout.tailLength));
      const count = Math.max(0, Math.ceil((segment.length - first) / length));
      return { first, ends: Array.from({ length: count }, (_, i) => first + (i + 1) * length) };
    }
    const { address, length, availableLength, from } = segment;
    const input = { address, length, availableLength, ...(from ? { from } : {}) };
    const scanned = unattended(this.#pool.run('scanSegment', input));
    // The memory belongs to the job until it has ended, whatever happens before.
    const [previous, found] = await Promise.allSettled([before, scanned]);
    if (previous.status === 'rejected') throw previous.reason;
    if (found.status === 'rejected') throw found.reason;
    const first = previous.value - segment.start;
    const bytes = this.#ring.view(address, availableLength);
    return { first, ends: stitchEnds(this.#scanner, bytes, first, length, found.value) };
  }

  async #zeros(start: number, { first, ends }: Cut): Promise<ChunkPortion> {
    const lengths = lengthsOf(first, ends);
    const [length] = lengths;
    const digests = new Uint8Array(lengths.length * 32);
    if (length !== undefined) {
      const digest = await this.#pool.run('digestZeroChunk', { length });
      for (let i = 0; i < lengths.length; i++) digests.set(digest, i * digest.length);
    }
    return { start: start + first, lengths, digests, bytes: undefined, release: () => {} };
  }

  async #digest(address: number, lengths: readonly number[]): Promise<Uint8Array> {
    const jobs: Promise<Uint8Array>[] = [];
    let [begin, first, size] = [address, 0, 0];
    for (const [i, length] of lengths.entries()) {
      size += length;
      if (size < DIGESTED_AT_ONCE && i < lengths.length - 1) continue;
      const input = { address: begin, lengths: lengths.slice(first, i + 1) };
      jobs.push(unattended(this.#pool.run('digestChunks', input)));
      [begin, first, size] = [begin + size, i + 1, 0];
    }
    const results = await Promise.allSettled(jobs);
    const parts = results.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    return parts.length === 1 ? parts[0] : new Uint8Array(Buffer.concat(parts));
  }
}

function lengthsOf(first: number, ends: readonly number[]): readonly number[] {
  return ends.map((end, i) => end - (i === 0 ? first : ends[i - 1]));
}
