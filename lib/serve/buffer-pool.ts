/** Memory that is used for answer after answer: fresh memory for each costs more than all else. */

const SMALLEST_SHIFT = 12;
const LARGEST_SHIFT = 19;
/** Bytes that wait for their next use, for each size. */
const KEPT_BYTES = 4 * 1024 * 1024;

export class BufferPool {
  readonly #allocate: (size: number) => Uint8Array;
  /** By the power of two that their sizes are. */
  readonly #free: Uint8Array[][] = Array.from({ length: LARGEST_SHIFT + 1 }, () => []);

  /** @param allocate makes memory; it need not be cleared */
  constructor(allocate: (size: number) => Uint8Array) {
    this.#allocate = allocate;
  }

  /** Memory of exactly `size` bytes, with anything in it. */
  take(size: number): Uint8Array {
    const shift = shiftOf(size);
    if (shift > LARGEST_SHIFT) return this.#allocate(size);
    const memory = this.#free[shift].pop() ?? this.#allocate(2 ** shift);
    return memory.subarray(0, size);
  }

  /** Gives back what `take` has given, when nobody reads it any more. */
  release({ buffer, byteOffset, length }: Uint8Array): void {
    const shift = shiftOf(length);
    const capacity = 2 ** shift;
    const isOurs = shift <= LARGEST_SHIFT && buffer.byteLength === capacity && byteOffset === 0;
    const free = this.#free[Math.min(shift, LARGEST_SHIFT)];
    if (!isOurs || free.length * capacity >= KEPT_BYTES) return;
    free.push(new Uint8Array(buffer));
  }
}

function shiftOf(size: number): number {
  return Math.max(SMALLEST_SHIFT, 32 - Math.clz32(Math.max(size, 1) - 1));
}
