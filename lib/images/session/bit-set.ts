/** Which of some numbered things are meant, a bit each. */
import type { BlockRun } from '../../../formats/block-table.ts';

export class BitSet {
  readonly length: number;
  readonly #bits: Uint8Array;

  constructor(length: number) {
    this.length = length;
    this.#bits = new Uint8Array(Math.ceil(length / 8));
  }

  add(i: number): void {
    this.#bits[i >> 3] |= 1 << (i & 7);
  }

  has(i: number): boolean {
    return (this.#bits[i >> 3] & (1 << (i & 7))) !== 0;
  }

  get isEmpty(): boolean {
    return this.#bits.every((byte) => byte === 0);
  }

  /** Those that are meant, as runs of at most `most`. */
  *runs(most = Number.POSITIVE_INFINITY): Generator<BlockRun> {
    for (let first = 0; first < this.length; ) {
      if (this.#bits[first >> 3] === 0) {
        first = ((first >> 3) + 1) << 3;
        continue;
      }
      if (!this.has(first)) {
        first += 1;
        continue;
      }
      let count = 1;
      while (count < most && first + count < this.length && this.has(first + count)) count += 1;
      yield { first, count };
      first += count;
    }
  }
}
