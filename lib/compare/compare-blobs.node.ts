/**
 * Two blobs side by side, each a file, a device, a stream or what an index describes. Digests are
 * compared where there are any, and bytes only where those differ or there are none. Used by diff.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import { throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { createBreather } from '../work/breathe.ts';
import { type ByteRange, differentBytes, RangeJoiner } from './byte-ranges.ts';
import { type ComparedFile, differentChunks } from './different-chunks.node.ts';
import { equalLength } from './equal-chunks.ts';

export interface ComparedBlob {
  /** Where its bytes come from. Opened at most once, and closed by whoever made this. */
  readonly open: () => ByteSource;
  /** What describes the bytes. */
  readonly index?: ChunkIndex;
  /** What holds the bytes, if that can be read anywhere. */
  readonly file?: ComparedFile;
  /** Undefined where only reading can tell. */
  readonly size?: number;
  /** What is longer than the other one is no difference then. */
  readonly isDevice: boolean;
}

/** Where two blobs differ. */
export interface BlobDifference extends ByteRange {
  /** False if only whole chunks could be compared: some bytes in the range may be equal. */
  readonly isExact: boolean;
}

export interface CompareBlobsOptions {
  readonly threadCount: number;
  /** Told of each range in which both have bytes that differ, rising. */
  readonly onDifference: (difference: BlobDifference) => Promise<void> | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

export interface BlobComparison {
  readonly beforeSize: number;
  readonly afterSize: number;
  /** Whether the one that is longer counts as another one. */
  readonly hasOtherSize: boolean;
  readonly rangeCount: number;
  /** Bytes in these ranges. */
  readonly differentBytes: number;
}

/** Codes of failures to read chunks, which leave it at what digests say. */
const UNREADABLE: ReadonlySet<string> = new Set([
  ...['CHUNK_MISSING', 'CHUNK_DAMAGED', 'STORE_MISSING', 'OBJECT_MISSING', 'UNAVAILABLE'],
  ...['DENIED', 'UNSUPPORTED'],
]);
/** Chunks that differ are put together up to this length before their bytes are compared. */
const LONGEST_COARSE = 64 * 1024 * 1024;

/** @throws whatever reading throws; that chunks cannot be had is no failure */
export async function compareBlobs(
  before: ComparedBlob,
  after: ComparedBlob,
  options: CompareBlobsOptions,
): Promise<BlobComparison> {
  return new Comparison(before, after, options).run();
}

class Comparison {
  readonly #before: ComparedBlob;
  readonly #after: ComparedBlob;
  readonly #options: CompareBlobsOptions;
  readonly #breathe = createBreather();
  readonly #joiner = new RangeJoiner();
  #canReadChunks = true;
  /** Up to where bytes were compared. */
  #offset = 0;
  #rangeCount = 0;
  #differentBytes = 0;

  constructor(before: ComparedBlob, after: ComparedBlob, options: CompareBlobsOptions) {
    this.#before = before;
    this.#after = after;
    this.#options = options;
  }

  async run(): Promise<BlobComparison> {
    const { size: a = Number.POSITIVE_INFINITY } = this.#before;
    const { size: b = Number.POSITIVE_INFINITY } = this.#after;
    const coarse = this.#coarseRanges(Math.min(a, b));
    if (coarse === undefined) {
      await this.#compareBytes(0, Math.min(a, b));
      return this.#result(this.#offset);
    }
    for await (const range of coarse) await this.#refine(range);
    return this.#result(Math.min(a, b));
  }

  async #result(common: number): Promise<BlobComparison> {
    const beforeSize = this.#before.size ?? (await sizeFrom(this.#before.open(), common));
    const afterSize = this.#after.size ?? (await sizeFrom(this.#after.open(), common));
    const longer = beforeSize > afterSize ? this.#before : this.#after;
    return {
      beforeSize,
      afterSize,
      hasOtherSize: beforeSize !== afterSize && !longer.isDevice,
      rangeCount: this.#rangeCount,
      differentBytes: this.#differentBytes,
    };
  }

  /** What digests say, without gaps between neighbours; undefined if there are none. */
  #coarseRanges(size: number): AsyncGenerator<ByteRange> | undefined {
    const { index: a } = this.#before;
    const { index: b } = this.#after;
    if (a && b)
      return a.digest === b.digest ? joinedRanges(rangesOfIndexes(a, b, size)) : undefined;
    if (a) return this.#rangesOf(a, this.#after, size);
    if (b) return this.#rangesOf(b, this.#before, size);
    return undefined;
  }

  #rangesOf(
    index: ChunkIndex,
    other: ComparedBlob,
    size: number,
  ): AsyncGenerator<ByteRange> | undefined {
    const { file } = other;
    // The bytes of a stream are gone when its digests are known.
    if (file === undefined) return undefined;
    return joinedRanges(rangesOfChunks(index, differentChunks(index, file, this.#options), size));
  }

  /** Compares the bytes of a range whose digests differ, if they can be had. */
  async #refine(range: ByteRange): Promise<void> {
    this.#offset = range.start;
    if (this.#canReadChunks) {
      try {
        await this.#compareBytes(range.start, range.end);
        return;
      } catch (error) {
        if (!isCasError(error) || !UNREADABLE.has(error.code)) throw error;
        this.#canReadChunks = false;
      }
    }
    await this.#tell({ start: this.#offset, end: range.end, isExact: false });
  }

  async #compareBytes(start: number, end: number): Promise<void> {
    const { signal, onProgress } = this.#options;
    this.#offset = start;
    try {
      const [a, b] = [this.#before.open(), this.#after.open()];
      while (this.#offset < end) {
        throwIfAborted(signal);
        const left = await a.read(this.#offset, end);
        const right = await b.read(this.#offset, end);
        const length = Math.min(left.length, right.length, end - this.#offset);
        if (length === 0) break;
        await this.#comparePieces(left.subarray(0, length), right.subarray(0, length));
        onProgress?.(progressOf('compare', this.#offset, a.size ?? b.size));
        await this.#breathe();
      }
    } finally {
      await this.#tellExact(this.#joiner.finish());
    }
  }

  async #comparePieces(before: Uint8Array, after: Uint8Array): Promise<void> {
    if (Buffer.compare(before, after) !== 0) {
      for (const range of differentBytes(before, after, this.#offset)) {
        await this.#tellExact(this.#joiner.push(range));
      }
    }
    this.#offset += before.length;
  }

  #tellExact(range: ByteRange | undefined): Promise<void> | undefined {
    return range && this.#tell({ ...range, isExact: true });
  }

  #tell(difference: BlobDifference): Promise<void> | undefined {
    this.#rangeCount += 1;
    this.#differentBytes += difference.end - difference.start;
    return this.#options.onDifference(difference);
  }
}

/** Ranges of the chunks that two indexes do not have in common at the same place. */
async function* rangesOfIndexes(
  a: ChunkIndex,
  b: ChunkIndex,
  size: number,
): AsyncGenerator<ByteRange> {
  const breathe = createBreather();
  for (let offset = 0; offset < size; ) {
    await breathe();
    offset += equalLength({ index: a, offset }, { index: b, offset }, size - offset);
    if (offset >= size) return;
    const end = Math.min(a.end(a.chunkAt(offset)), b.end(b.chunkAt(offset)), size);
    yield { start: offset, end };
    offset = end;
  }
}

/** Ranges of chunks by their numbers. @param size what counts of the blob */
export async function* rangesOfChunks(
  index: ChunkIndex,
  chunks: AsyncIterable<number>,
  size: number,
): AsyncGenerator<ByteRange> {
  for await (const chunk of chunks) {
    const range = { start: index.start(chunk), end: Math.min(index.end(chunk), size) };
    if (range.start < range.end) yield range;
  }
}

/** Puts neighbours together. */
export async function* joinedRanges(ranges: AsyncIterable<ByteRange>): AsyncGenerator<ByteRange> {
  let last: ByteRange | undefined;
  for await (const range of ranges) {
    const isNeighbour = last?.end === range.start && range.end - last.start <= LONGEST_COARSE;
    if (last !== undefined && !isNeighbour) yield last;
    last = isNeighbour && last ? { start: last.start, end: range.end } : range;
  }
  if (last !== undefined) yield last;
}

/** Length of a source by reading all of it from an offset on. */
async function sizeFrom(source: ByteSource, offset: number): Promise<number> {
  for (let end = offset; ; ) {
    const bytes = await source.read(end);
    if (bytes.length === 0) return end;
    end += bytes.length;
  }
}
