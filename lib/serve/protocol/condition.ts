/** Waiting for something to become true, or for a failure. Used where several things go on at a time. */

export class Condition {
  readonly #wakers: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  /** Whoever waits looks again. */
  wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  /** Whoever waits, now or later, gets the first failure. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.wake();
  }

  /** Resolves with the next {@link wake}. @throws the failure */
  async change(): Promise<void> {
    this.#check();
    await new Promise<void>((resolve) => this.#wakers.push(resolve));
    this.#check();
  }

  /** Resolves when `isMet` says so, which is asked now and at each {@link wake}. @throws the failure */
  async until(isMet: () => boolean): Promise<void> {
    this.#check();
    while (!isMet()) await this.change();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
