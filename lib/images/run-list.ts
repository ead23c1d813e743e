/** Runs of blocks in rising order, as columns of numbers: 16 bytes a run, neighbours joined. */
import type { BlockRun } from '../../formats/block-table.ts';

const FIRST_LENGTH = 1024;

export class BlockRunList {
  #numbers = new Float64Array(FIRST_LENGTH);
  #length = 0;

  /** @param run behind all that were added */
  add({ first, count }: BlockRun): void {
    const last = this.#length - 2;
    if (last >= 0 && this.#numbers[last] + this.#numbers[last + 1] === first) {
      this.#numbers[last + 1] += count;
      return;
    }
    if (this.#length === this.#numbers.length) this.#grow();
    this.#numbers[this.#length] = first;
    this.#numbers[this.#length + 1] = count;
    this.#length += 2;
  }

  *[Symbol.iterator](): Generator<BlockRun> {
    for (let i = 0; i < this.#length; i += 2) {
      yield { first: this.#numbers[i], count: this.#numbers[i + 1] };
    }
  }

  #grow(): void {
    const numbers = new Float64Array(2 * this.#numbers.length);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }
}
