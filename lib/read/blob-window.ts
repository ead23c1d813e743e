/**
 * Small pieces of a blob as memory of their own, for readers that look here and there: the blocks read
 * last are kept, so that records which lie side by side cost one read. A block does not go beyond what
 * is had or not had together: what lies beside bytes that cannot be read can be read.
 */
import type { SignalOption } from '../../store/backend.ts';
import { awaited, type Soon, type Steps, settle } from '../work/soon.ts';
import { type BlobRange, type BlobReader, copyAndRelease } from './blob-reader.ts';
import { RecentValues } from './recent-values.ts';

const BLOCK_LENGTH = 16 * 1024;
const MOST_BYTES = 4 * 1024 * 1024;
/** Even an empty one occupies this. */
const BLOCK_WEIGHT = 200;

interface Block {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class BlobWindow {
  readonly #blob: BlobReader;
  /** By the offset of their first bytes. */
  readonly #blocks = new RecentValues<Block>(MOST_BYTES);
  #last: Block = { start: 0, bytes: new Uint8Array(0) };

  constructor(blob: BlobReader) {
    this.#blob = blob;
  }

  /**
   * The bytes at an offset: at least so many, fewer only where the blob ends. They never change.
   * @throws whatever the blob throws; the next call tries again
   */
  at(offset: number, atLeast: number, options?: SignalOption): Soon<Uint8Array> {
    const { start, bytes } = this.#last;
    const skipped = offset - start;
    if (skipped >= 0 && skipped + atLeast <= bytes.length) return bytes.subarray(skipped);
    return settle(this.#read(offset, atLeast, options));
  }

  *#read(offset: number, atLeast: number, options?: SignalOption): Steps<Uint8Array> {
    const first = yield* this.#from(offset, options);
    if (atLeast <= first.length || offset + first.length >= this.#blob.size) return first;
    const joined = new Uint8Array(atLeast);
    joined.set(first);
    let length = first.length;
    while (length < atLeast) {
      const next = yield* this.#from(offset + length, options);
      if (next.length === 0) break;
      joined.set(next.subarray(0, atLeast - length), length);
      length = Math.min(length + next.length, atLeast);
    }
    return joined.subarray(0, length);
  }

  /** The rest of a block; nothing behind the end of the blob. */
  *#from(offset: number, options?: SignalOption): Steps<Uint8Array> {
    if (offset >= this.#blob.size) return new Uint8Array(0);
    const range = this.#blockAround(offset);
    const known = this.#blocks.get(range.offset);
    const block = known ?? (yield* this.#load(range, options));
    this.#last = block;
    return block.bytes.subarray(offset - block.start);
  }

  #blockAround(offset: number): BlobRange {
    const start = offset - (offset % BLOCK_LENGTH);
    const unit = this.#blob.unitAt?.(offset);
    if (unit === undefined) return { offset: start, length: BLOCK_LENGTH };
    const end = Math.min(start + BLOCK_LENGTH, unit.offset + unit.length);
    const from = Math.max(start, unit.offset);
    return { offset: from, length: end - from };
  }

  *#load(range: BlobRange, options?: SignalOption): Steps<Block> {
    const bytes = copyAndRelease(yield* awaited(this.#blob.read(range, options)));
    const block = { start: range.offset, bytes };
    this.#blocks.keep(range.offset, block, bytes.length + BLOCK_WEIGHT);
    return block;
  }
}
