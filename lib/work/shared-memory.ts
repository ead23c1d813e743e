/** Memory that all threads of a pipeline work in. */

/** Bytes of a WebAssembly page. */
const PAGE_SIZE = 65536;

/** A WebAssembly memory, or less where there is no room for one. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/**
 * Memory of at least `size` bytes, rounded up to whole pages. A WebAssembly memory takes gigabytes of
 * addresses, which `ulimit -v` may deny.
 */
export function shareMemory(size: number): SharedMemory {
  const pages = Math.ceil(size / PAGE_SIZE);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { buffer: new SharedArrayBuffer(pages * PAGE_SIZE) };
  }
}
