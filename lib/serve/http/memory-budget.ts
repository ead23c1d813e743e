/** How much of the memory for uploads is in use, so that many large ones do not exhaust it. */
export class MemoryBudget {
  #free: number;

  /** @param size bytes */
  constructor(size: number) {
    this.#free = size;
  }

  /** @returns what gives the bytes back, once; undefined if there are not so many */
  take(size: number): (() => void) | undefined {
    if (size > this.#free) return undefined;
    this.#free -= size;
    let isTaken = true;
    return () => {
      if (isTaken) this.#free += size;
      isTaken = false;
    };
  }
}
