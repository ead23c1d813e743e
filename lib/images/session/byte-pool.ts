/**
 * Memory for messages, used again and again: garbage of this size would be collected too late to keep a
 * process small.
 */

/** Shorter messages are not worth it. */
const SHORTEST = 64 * 1024;
const MOST_KEPT = 3;
/** Lengths are rounded up, so that memory fits the next message, too. */
const STEP = 256 * 1024;

export class BytePool {
  readonly #free: ArrayBufferLike[] = [];

  /** Memory of any content. */
  take(length: number): Uint8Array {
    if (length < SHORTEST) return new Uint8Array(length);
    const i = this.#free.findIndex(({ byteLength }) => byteLength >= length);
    const [buffer = new ArrayBuffer(Math.ceil(length / STEP) * STEP)] =
      i < 0 ? [] : this.#free.splice(i, 1);
    return new Uint8Array(buffer, 0, length);
  }

  /** Takes back what {@link take} gave, which nobody may look at any more. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength < SHORTEST || this.#free.includes(buffer)) return;
    if (this.#free.length === MOST_KEPT) this.#free.shift();
    this.#free.push(buffer);
  }
}
