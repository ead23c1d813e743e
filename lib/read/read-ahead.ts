/**
 * Notices ranges that are read in order, by several readers at a time, and says what will be wanted next.
 * Used where blobs are read in any order.
 */
import type { BlobRange } from './blob-reader.ts';

/** One that reads in order. */
interface Stream {
  /** Offset of its first range. */
  begin: number;
  /** Offset behind the last range. */
  next: number;
  /** Offset up to which has been read ahead. */
  ahead: number;
  /** Bytes that are read ahead. */
  window: number;
  /** Count of all ranges when the last of this stream came. */
  lastUse: number;
}

export interface ReadAheadOptions {
  /** Bytes that all streams together may have read ahead. */
  readonly capacity: number;
}

/** Kernels ask for the parts of a large read side by side: they come a little out of order. */
const MOST_BACKWARD = 4 * 1024 * 1024;
/** Who has read less than this may have been looking something up. */
const WORTH_READING_AHEAD = 128 * 1024;
/** Who passes over less than this will want what lies behind. */
const MOST_FORWARD = 256 * 1024;
const FIRST_WINDOW = 512 * 1024;
const LONGEST_WINDOW = 8 * 1024 * 1024;
const MOST_STREAMS = 32;
/** Streams from which nothing came for so many ranges do not count any more. */
const FORGOTTEN_AFTER = 256;

export class ReadAhead {
  readonly #capacity: number;
  readonly #streams: Stream[] = [];
  #count = 0;

  constructor({ capacity }: ReadAheadOptions) {
    this.#capacity = capacity;
  }

  /**
   * To be told of each range that is read.
   * @returns what to read ahead now, perhaps nothing
   */
  advance({ offset, length }: BlobRange): BlobRange | undefined {
    this.#count += 1;
    const end = offset + length;
    const stream = this.#streamAt(offset);
    if (stream === undefined) {
      this.#begin(offset, end);
      return undefined;
    }
    stream.lastUse = this.#count;
    if (end <= stream.next) return undefined;
    stream.next = end;
    if (end - stream.begin < WORTH_READING_AHEAD) return undefined;
    const most = Math.min(LONGEST_WINDOW, this.#capacity / this.#activeCount());
    // Half a window is left: to read ahead in steps is cheaper than with each range.
    if (stream.ahead - end > stream.window / 2) return undefined;
    stream.window = Math.min(2 * stream.window, most);
    const start = Math.max(end, stream.ahead);
    stream.ahead = end + stream.window;
    return { offset: start, length: stream.ahead - start };
  }

  #streamAt(offset: number): Stream | undefined {
    return this.#streams.find(
      ({ next }) => offset >= next - MOST_BACKWARD && offset <= next + MOST_FORWARD,
    );
  }

  #begin(begin: number, end: number): void {
    const lastUse = this.#count;
    const stream = { begin, next: end, ahead: end, window: FIRST_WINDOW / 2, lastUse };
    if (this.#streams.length < MOST_STREAMS) {
      this.#streams.push(stream);
      return;
    }
    const oldest = this.#streams.reduce((a, b) => (a.lastUse < b.lastUse ? a : b));
    Object.assign(oldest, stream);
  }

  #activeCount(): number {
    return this.#streams.filter(({ lastUse }) => this.#count - lastUse < FORGOTTEN_AFTER).length;
  }
}
