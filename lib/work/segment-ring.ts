/**
 * The memory that bulk data lives in from the moment it is read: slots of equal size in one shared
 * WebAssembly memory, so that the scan kernel and all threads work on the bytes in place. How many
 * slots there are bounds the memory of a pipeline, and waiting for one is its back-pressure.
 */
import { type SharedMemory, shareMemory } from './shared-memory.ts';

/** Slots begin at multiples of this many bytes. */
const ALIGNMENT = 4096;

export interface SegmentRingOptions {
  /** Bytes at the begin of the memory that belong to the kernel. */
  readonly reservedSize: number;
  /** Bytes that each slot holds. */
  readonly slotSize: number;
  readonly slotCount: number;
  /** Copies bytes into a slot; `set` of the array if left out. */
  readonly copy?: (to: Uint8Array, from: Uint8Array) => void;
}

export class SegmentRing {
  /** To be shared with all threads. */
  readonly memory: SharedMemory;
  readonly slotSize: number;
  readonly #bytes: Uint8Array;
  readonly #copy: (to: Uint8Array, from: Uint8Array) => void;
  readonly #free: number[] = [];
  readonly #waiting: ((address: number) => void)[] = [];

  constructor(options: SegmentRingOptions) {
    const { reservedSize, slotSize, slotCount } = options;
    const stride = Math.ceil(slotSize / ALIGNMENT) * ALIGNMENT;
    this.memory = shareMemory(reservedSize + slotCount * stride);
    this.slotSize = slotSize;
    this.#copy = options.copy ?? ((to, from) => to.set(from));
    this.#bytes = new Uint8Array(this.memory.buffer);
    for (let i = slotCount - 1; i >= 0; i--) this.#free.push(reservedSize + i * stride);
  }

  /** The bytes of a slot, or the first of them. @param address of the slot in {@link memory} */
  view(address: number, length = this.slotSize): Uint8Array {
    return this.#bytes.subarray(address, address + length);
  }

  /** Puts bytes into a slot. @param address in {@link memory} */
  write(address: number, bytes: Uint8Array): void {
    this.#copy(this.view(address, bytes.length), bytes);
  }

  /** Waits until a slot is free. @returns its address in {@link memory}; the caller releases it */
  acquire(): Promise<number> {
    // The slot that was used last is taken first: its bytes are still in the processor's cache.
    const address = this.#free.pop();
    if (address !== undefined) return Promise.resolve(address);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(address: number): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(address);
    else next(address);
  }
}
