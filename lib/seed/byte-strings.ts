/** Many short byte strings in one array: a million names cost their bytes and 8 more each. Used by seeds. */

export class ByteStrings {
  #bytes = new Uint8Array(4096);
  #ends = new Float64Array(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Copies a string. @returns its number */
  add(text: Uint8Array): number {
    const start = this.#startOf(this.#count);
    const end = start + text.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    if (this.#count === this.#ends.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#ends);
      this.#ends = larger;
    }
    this.#bytes.set(text, start);
    this.#ends[this.#count] = end;
    return this.#count++;
  }

  /** A view that stays as it is. */
  at(number: number): Uint8Array {
    return this.#bytes.subarray(this.#startOf(number), this.#ends[number]);
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1];
  }
}
