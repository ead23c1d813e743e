/** How far something has come, for those who wait until it has come further. */

export class Position {
  #at = 0;
  #hasFailed = false;
  #error: unknown;
  #waiting: (() => void)[] = [];

  /** @param at all before it is done */
  reach(at: number): void {
    this.#at = at;
    this.#wake();
  }

  /** Whoever waits gets the error; later calls change nothing. */
  fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#error = error;
    this.#wake();
  }

  /** @throws what it has failed with, if it does not get that far */
  async reached(at: number): Promise<void> {
    while (this.#at < at) {
      if (this.#hasFailed) throw this.#error;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
