/** Work on ranges of numbers, of which those that overlap are done one after another, in order. */

interface Held {
  readonly first: number;
  readonly end: number;
  readonly done: Promise<unknown>;
}

export class RangeLocks {
  readonly #held = new Set<Held>();

  /** Runs `work` when everything that came before and overlaps [first, end) has ended. */
  async run(first: number, end: number, work: () => Promise<void>): Promise<void> {
    const before = [...this.#held].filter((held) => held.first < end && first < held.end);
    const running =
      before.length === 0 ? work() : Promise.all(before.map(({ done }) => done)).then(work);
    const held = { first, end, done: running.catch(() => {}) };
    this.#held.add(held);
    try {
      await running;
    } finally {
      this.#held.delete(held);
    }
  }

  /** Resolves when everything that was begun has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#held].map(({ done }) => done));
  }
}
