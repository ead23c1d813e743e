/**
 * Memory that is used again and again: a castr store reads, encodes and decodes every chunk through
 * it, so that no chunk costs an allocation.
 */

/** Fits all chunks of the usual sizes; what is larger is given back to the system after use. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;
const MAX_KEPT_COUNT = 4;
const GRANULARITY = 64 * 1024;

export class Scratch {
  readonly #free: Uint8Array[] = [];

  /** At least `size` bytes of undefined content, for the caller alone until {@link release}. */
  take(size: number): Uint8Array {
    const last = this.#free.pop();
    if (last !== undefined && last.length >= size) return last;
    return new Uint8Array(Math.ceil(Math.max(size, 1) / GRANULARITY) * GRANULARITY);
  }

  release(memory: Uint8Array): void {
    if (memory.length > MAX_KEPT_BYTES || this.#free.length >= MAX_KEPT_COUNT) return;
    this.#free.push(memory);
  }
}
