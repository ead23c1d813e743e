/**
 * How many chunks may be on their way from the stores to a client: as many as fit into a fixed amount
 * of memory, going by the sizes of the last ones. Used by pull.node.ts.
 */

/** Bytes of chunks that have been read and not sent yet, about. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** What a chunk is taken for before the first one has been seen. */
const FIRST_ESTIMATE = 4 * 1024 * 1024;
/** How much of the last estimate remains if the next chunk is smaller. */
const DECAY = 0.9;

export class AnswerMemory {
  #held = 0;
  #estimate = FIRST_ESTIMATE;
  readonly #waiting: (() => void)[] = [];

  /** Waits until there is room for one more chunk. @returns bytes that are kept free for it */
  async reserve(): Promise<number> {
    while (this.#held > 0 && this.#held + this.#estimate > MAX_HELD_BYTES) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const reserved = this.#estimate;
    this.#held += reserved;
    return reserved;
  }

  /** The chunk is there. @returns bytes to release when it has been sent */
  settle(reserved: number, size: number): number {
    this.#estimate = Math.max(size, this.#estimate * DECAY);
    this.#held += size;
    this.release(reserved);
    return size;
  }

  release(bytes: number): void {
    this.#held -= bytes;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
