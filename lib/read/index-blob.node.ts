/**
 * The bytes behind an index as a blob that can be read anywhere: chunks are fetched and decompressed by
 * several threads, kept as long as a bounded memory has room for them, and fetched ahead of who reads in
 * order.
 */
import { setMaxListeners } from 'node:events';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { SignalOption } from '../../store/backend.ts';
import { abortedError } from '../errors.ts';
import { ByteBudget } from '../work/byte-budget.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  freeBytes,
  USUAL_CACHE_SIZE,
  withinBlob,
} from './blob-reader.ts';
import type { ChunkLoaderOptions } from './chunk-loader.node.ts';
import { type ChunkRange, ChunkSupply } from './chunk-supply.node.ts';
import { ReadAhead } from './read-ahead.ts';
import { unlessAborted } from './waiting.ts';

export interface IndexBlobOptions extends Omit<ChunkLoaderOptions, 'capacity' | 'startsAtOnce'> {
  /** Name of the index, for messages. */
  readonly label: string;
  /** Memory for chunks in bytes; more where chunks are very large. */
  readonly cacheSize?: number;
  /** `false`: nothing is fetched that was not asked for. */
  readonly readAhead?: boolean;
}

/** The memory has room for so many of the longest chunks. */
const FEWEST_CHUNKS = 16;
/** Longer ranges are copied in parts of this length, or less where memory is small. */
const LONGEST_IN_PLACE = 2 * 1024 * 1024;
/** Parts of the memory: one such range, those that are waited for, given out, and read ahead. */
const RANGE_PART = 1 / 16;
const WAITING_PART = 1 / 2;
const KEPT_PART = 1 / 4;
const AHEAD_PART = 1 / 2;
/** Chunks that are looked at for an extent. */
const LONGEST_EXTENT = 65536;

/** Each chunk is verified before any of its bytes is given out. */
export function openIndexBlob(index: ChunkIndex, options: IndexBlobOptions): BlobReader {
  return new IndexBlob(index, options);
}

class IndexBlob implements BlobReader {
  readonly label: string;
  readonly size: number;
  readonly #index: ChunkIndex;
  readonly #supply: ChunkSupply;
  readonly #ahead: ReadAhead | undefined;
  /** For those who wait: together they must not want more than there is room for. */
  readonly #waiting: ByteBudget;
  readonly #longestRange: number;
  /** Bytes of chunks that may still be given out in place. */
  #keepable: number;
  readonly #closing = new AbortController();

  constructor(index: ChunkIndex, options: IndexBlobOptions) {
    const { label, cacheSize = USUAL_CACHE_SIZE, readAhead = true } = options;
    const capacity = Math.max(cacheSize, FEWEST_CHUNKS * longestChunk(index));
    this.label = label;
    this.size = index.totalSize;
    this.#index = index;
    this.#supply = new ChunkSupply(index, { ...options, capacity, startsAtOnce: readAhead });
    if (readAhead) this.#ahead = new ReadAhead({ capacity: AHEAD_PART * capacity });
    this.#waiting = new ByteBudget(WAITING_PART * capacity);
    this.#longestRange = Math.min(LONGEST_IN_PLACE, Math.floor(RANGE_PART * capacity));
    this.#keepable = KEPT_PART * capacity;
    // As many as wait listen to it.
    setMaxListeners(0, this.#closing.signal);
  }

  read(range: BlobRange, { signal }: SignalOption = {}): BlobBytes | Promise<BlobBytes> {
    this.#closing.signal.throwIfAborted();
    const wanted = withinBlob(range, this.size);
    if (wanted.length === 0) return freeBytes();
    if (wanted.length > this.#longestRange) return this.#copyInParts(wanted, signal);
    const bytes = this.#take(wanted) ?? this.#wait(wanted, signal);
    const next = this.#ahead?.advance(wanted);
    const soon = next && withinBlob(next, this.size);
    if (soon !== undefined && soon.length > 0) this.#supply.loadAhead(this.#chunksOf(soon));
    return bytes;
  }

  extentAt(offset: number): BlobExtent {
    const { zeros } = this.#supply;
    const first = this.#index.chunkAt(offset);
    const isZero = zeros.isZero(first);
    const most = Math.min(this.#index.count, first + LONGEST_EXTENT);
    let next = first + 1;
    while (next < most && zeros.isZero(next) === isZero) next += 1;
    return { end: this.#index.start(next), isZero };
  }

  unitAt(offset: number): BlobRange {
    const chunk = this.#index.chunkAt(offset);
    return { offset: this.#index.start(chunk), length: this.#index.size(chunk) };
  }

  async close(): Promise<void> {
    this.#closing.abort(abortedError());
    await this.#supply.close();
  }

  #chunksOf({ offset, length }: BlobRange): ChunkRange {
    const index = this.#index;
    const first = index.chunkAt(offset);
    let last = first;
    while (index.end(last) < offset + length) last += 1;
    return { first, last };
  }

  #bytesIn({ first, last }: ChunkRange): number {
    return this.#index.end(last) - this.#index.start(first);
  }

  /** The bytes, if all of them are there. */
  #take(range: BlobRange): BlobBytes | undefined {
    const chunks = this.#chunksOf(range);
    for (let chunk = chunks.first; chunk <= chunks.last; chunk++) {
      if (this.#supply.find(chunk) === undefined) return undefined;
    }
    for (let chunk = chunks.first; chunk <= chunks.last; chunk++) this.#supply.pin(chunk);
    return this.#giveOut(range, chunks);
  }

  async #wait(range: BlobRange, signal: AbortSignal | undefined): Promise<BlobBytes> {
    const chunks = this.#chunksOf(range);
    const bytes = this.#bytesIn(chunks);
    const wanted = this.#waiting.take(bytes, signal && { signal });
    await unlessAborted(wanted, this.#closing.signal);
    let { first } = chunks;
    try {
      for (; first <= chunks.last; first++) {
        const obtained = this.#supply.obtain(first, { first, last: chunks.last }, signal);
        await unlessAborted(obtained, this.#closing.signal);
      }
      return this.#giveOut(range, chunks);
    } catch (error) {
      this.#unpin({ first: chunks.first, last: first - 1 });
      throw error;
    } finally {
      this.#waiting.back(bytes);
    }
  }

  /** Bytes of pinned chunks, in place unless too many are kept already. */
  #giveOut({ offset, length }: BlobRange, chunks: ChunkRange): BlobBytes {
    const pieces: Uint8Array[] = [];
    for (let chunk = chunks.first; chunk <= chunks.last; chunk++) {
      const start = this.#index.start(chunk);
      const bytes = this.#supply.find(chunk) ?? NO_BYTES;
      pieces.push(bytes.subarray(Math.max(0, offset - start), offset + length - start));
    }
    const keptBytes = this.#bytesIn(chunks);
    if (keptBytes > this.#keepable) {
      const copy = Buffer.concat(pieces, length);
      this.#unpin(chunks);
      return freeBytes(copy);
    }
    this.#keepable -= keptBytes;
    const release = (): void => {
      this.#keepable += keptBytes;
      this.#unpin(chunks);
    };
    return { pieces, length, release };
  }

  #unpin({ first, last }: ChunkRange): void {
    for (let chunk = first; chunk <= last; chunk++) this.#supply.unpin(chunk);
  }

  async #copyInParts(range: BlobRange, signal: AbortSignal | undefined): Promise<BlobBytes> {
    const { offset, length } = range;
    const copy = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const part = Math.min(this.#longestRange, length - done);
      const bytes = await this.read({ offset: offset + done, length: part }, signal && { signal });
      for (const piece of bytes.pieces) {
        copy.set(piece, done);
        done += piece.length;
      }
      bytes.release();
    }
    return freeBytes(copy);
  }
}

const NO_BYTES = new Uint8Array(0);

function longestChunk(index: ChunkIndex): number {
  let longest = 0;
  for (let i = 0; i < index.count; i++) longest = Math.max(longest, index.size(i));
  return longest;
}
