/** The chunks of an index that are still to be found. Used while a blob is put together. */
import type { ChunkIndex } from '../../formats/chunk-index.ts';

export class ChunkSet {
  readonly #index: ChunkIndex;
  readonly #isIn: Uint8Array;
  #byteCount: number;
  #first = 0;

  /** All chunks of the index. */
  constructor(index: ChunkIndex) {
    this.#index = index;
    this.#isIn = new Uint8Array(index.count).fill(1);
    this.#byteCount = index.totalSize;
  }

  /** Bytes in all chunks of the set. */
  get byteCount(): number {
    return this.#byteCount;
  }

  has(chunk: number): boolean {
    return this.#isIn[chunk] === 1;
  }

  /** The first chunk of the set at or behind `chunk`; the number of all chunks if there is none. */
  next(chunk: number): number {
    let next = Math.max(chunk, this.#first);
    while (next < this.#isIn.length && this.#isIn[next] === 0) next += 1;
    if (chunk <= this.#first) this.#first = next;
    return next;
  }

  delete(chunk: number): void {
    if (this.#isIn[chunk] === 0) return;
    this.#isIn[chunk] = 0;
    this.#byteCount -= this.#index.size(chunk);
  }
}
