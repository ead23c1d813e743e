/**
 * The spans of a tree from where the next chunk begins, as far as they have been looked at: what tells
 * a chunk that is known already from one that must be read. Used by the encoder cache and by
 * directories as seeds.
 */
import type { ContentReference } from './held-folder.node.ts';
import type { Span } from './pack-tree.node.ts';

/** A part of a stretch: inline bytes, which are not changed any more, or a range of a content. */
export type SpanPart = Uint8Array | ContentRange;

export interface ContentRange {
  readonly reference: ContentReference;
  /** In the content, in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Spans that are forgotten together. */
const FORGOTTEN_AT_ONCE = 1024;

export class SpanWindow {
  readonly #source: AsyncIterator<Span>;
  #spans: Span[] = [];
  /** Number of the first span that is not behind us. */
  #first = 0;
  /** Bytes of that span that are behind us. */
  #passed = 0;
  #start = 0;
  #available = 0;
  #isComplete = false;

  constructor(spans: AsyncIterable<Span>) {
    this.#source = spans[Symbol.asyncIterator]();
  }

  /** Offset in the archive where the window begins. */
  get start(): number {
    return this.#start;
  }

  /** Bytes of the archive from there that are known. */
  get available(): number {
    return this.#available;
  }

  /** Whether nothing follows what is known. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /**
   * Looks ahead until more than `length` bytes are known, so that it is known whether the archive ends
   * behind them, or it does end before. @throws what the walk throws
   */
  async fill(length: number): Promise<void> {
    while (this.#available <= length && !this.#isComplete) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#isComplete = true;
        return;
      }
      const span = next.value;
      this.#spans.push(span instanceof Uint8Array ? span.slice() : span);
      this.#available += span.length;
    }
  }

  /** The next `length` bytes, which must be known, in parts. */
  *parts(length: number): Generator<SpanPart> {
    let passed = this.#passed;
    let left = length;
    for (let i = this.#first; left > 0; i++) {
      const span = this.#spans[i];
      const taken = Math.min(left, span.length - passed);
      if (span instanceof Uint8Array) yield span.subarray(passed, passed + taken);
      else yield { reference: span, offset: passed, length: taken };
      left -= taken;
      passed = 0;
    }
  }

  /** Moves the begin of the window on by `length` bytes, which must be known. */
  advance(length: number): void {
    this.#start += length;
    this.#available -= length;
    let left = this.#passed + length;
    while (this.#first < this.#spans.length && left >= this.#spans[this.#first].length) {
      left -= this.#spans[this.#first].length;
      this.#first += 1;
    }
    this.#passed = left;
    if (this.#first < FORGOTTEN_AT_ONCE || this.#first < this.#spans.length / 2) return;
    this.#spans = this.#spans.slice(this.#first);
    this.#first = 0;
  }

  /** Ends the walk. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
