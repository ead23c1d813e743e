/**
 * The chunks of an index in a bounded memory: loaded when they are wanted or will be soon, several at a
 * time, each at most once at a time; given up when others need the room. One that could not be had is
 * tried again when it is next wanted.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { abortedError, throwIfAborted } from '../errors.ts';
import { unattended } from '../work/unattended.ts';
import { ChunkCache } from './chunk-cache.ts';
import { ChunkLoader, type ChunkLoaderOptions } from './chunk-loader.node.ts';
import { unlessAborted } from './waiting.ts';
import { createZeroFinder, type ZeroFinder } from './zero-chunks.node.ts';

/** Chunks in a row, by number. */
export interface ChunkRange {
  readonly first: number;
  readonly last: number;
}

/** Chunks of a job, in bytes: enough for the work to be more than the asking for it. */
const AHEAD_LENGTH = 512 * 1024;
/** The same where a reader is waiting: it shall not wait for what others have to do. */
const WANTED_LENGTH = 256 * 1024;

export class ChunkSupply {
  readonly zeros: ZeroFinder;
  readonly #index: ChunkIndex;
  readonly #cache: ChunkCache;
  readonly #loader: ChunkLoader;
  #someZeros = new Uint8Array(0);
  #isClosing = false;
  /** Those who wait for room in the memory. */
  #waiting: (() => void)[] = [];

  constructor(index: ChunkIndex, options: ChunkLoaderOptions) {
    this.#index = index;
    this.zeros = createZeroFinder(index);
    this.#cache = new ChunkCache(0, options.capacity);
    this.#loader = new ChunkLoader(index, options);
  }

  /** The bytes of a chunk, if they are there; valid until something is loaded, unless it is pinned. */
  find(chunk: number): Uint8Array | undefined {
    const cached = this.#cache.find(chunk);
    if (cached?.state === 'ready') return this.#loader.view(cached.address, cached.length);
    return this.zeros.isZero(chunk) ? this.#zeroBytes(this.#index.size(chunk)) : undefined;
  }

  /** A chunk that is there stays until it is {@link unpin}ned. */
  pin(chunk: number): void {
    if (this.#cache.find(chunk) !== undefined) this.#cache.pin(chunk);
  }

  unpin(chunk: number): void {
    if (this.#cache.find(chunk) === undefined) return;
    this.#cache.unpin(chunk);
    this.#wake();
  }

  /**
   * Waits for a chunk and pins it.
   * @param range what else will be wanted, and is loaded meanwhile
   * @throws CasError, with the id of the chunk; `ABORTED`
   */
  async obtain(chunk: number, range: ChunkRange, signal?: AbortSignal): Promise<void> {
    while (this.find(chunk) === undefined) {
      throwIfAborted(signal);
      if (this.#isClosing) throw abortedError();
      const isRoom = this.#loadAbsent(range, WANTED_LENGTH);
      const loading = this.#cache.find(chunk)?.loaded;
      await unlessAborted(loading ?? (isRoom ? Promise.resolve() : this.#room()), signal);
    }
    this.pin(chunk);
  }

  /** Begins to load chunks that will be wanted, as far as there is room. */
  loadAhead(range: ChunkRange): void {
    if (!this.#isClosing) this.#loadAbsent(range, AHEAD_LENGTH);
  }

  /** Ends what is still going on. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#wake();
    await this.#loader.close();
  }

  #zeroBytes(length: number): Uint8Array {
    if (this.#someZeros.length < length) this.#someZeros = new Uint8Array(length);
    return this.#someZeros.subarray(0, length);
  }

  /**
   * Begins to load what is neither there nor on its way.
   * @returns false if there was not enough room
   */
  #loadAbsent({ first, last }: ChunkRange, jobLength: number): boolean {
    for (let chunk = first; chunk <= last; ) {
      const count = this.#absentFrom(chunk, last, jobLength);
      if (count > 0 && !this.#begin(chunk, count)) return false;
      chunk += Math.max(1, count);
    }
    return true;
  }

  /** Absent chunks from `first` on that make one job; none if that is not absent. */
  #absentFrom(first: number, last: number, jobLength: number): number {
    const most = this.#loader.isRemote ? first : last;
    const start = this.#index.start(first);
    let next = first;
    while (next <= most && this.#isAbsent(next)) {
      if (next > first && this.#index.end(next) - start > jobLength) break;
      next += 1;
    }
    return next - first;
  }

  #isAbsent(chunk: number): boolean {
    return this.#cache.find(chunk) === undefined && !this.zeros.isZero(chunk);
  }

  /** @returns false while there is no room */
  #begin(first: number, count: number): boolean {
    const lengths = Array.from({ length: count }, (_, i) => this.#index.size(first + i));
    const address = this.#cache.reserve(first, lengths);
    if (address === undefined) return false;
    const job = this.#loader.load(first, count, address);
    let start = address;
    for (const [i, length] of lengths.entries()) {
      const place = start;
      const loading = job.catch((error: unknown) => {
        // A failure of one does not concern those that came with it.
        if (count === 1 || this.#isClosing) throw error;
        return this.#loader.load(first + i, 1, place);
      });
      this.#attend(first + i, loading);
      start += length;
    }
    return true;
  }

  /** Notes what becomes of a chunk. */
  #attend(chunk: number, loading: Promise<void>): void {
    const loaded = loading
      .then(
        () => this.#cache.ready(chunk),
        (error: unknown) => {
          this.#cache.failed(chunk);
          throw error;
        },
      )
      .finally(() => this.#wake());
    this.#cache.loading(chunk, unattended(loaded));
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
