/**
 * Which lengths wanted chunks have, in memory that all threads share: of most chunks that nobody wants,
 * the length says so, and they need not be hashed. Used while seeds are searched.
 */

/** Lengths that differ by a multiple of this look alike. */
const LENGTHS = 1 << 18;

export class LengthFilter {
  /** To be shared with threads, which make a filter of it again. */
  readonly memory: SharedArrayBuffer;
  readonly #bits: Uint8Array;

  constructor(memory = new SharedArrayBuffer(LENGTHS / 8)) {
    this.memory = memory;
    this.#bits = new Uint8Array(memory);
  }

  /** @param length of a wanted chunk in bytes */
  add(length: number): void {
    const bit = length % LENGTHS;
    this.#bits[bit >> 3] |= 1 << (bit & 7);
  }

  /** False if no wanted chunk has this length. */
  mayHave(length: number): boolean {
    const bit = length % LENGTHS;
    return (this.#bits[bit >> 3] & (1 << (bit & 7))) !== 0;
  }
}
