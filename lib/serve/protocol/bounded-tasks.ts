/** Work that goes on side by side, a bounded number at a time. Used for what the network has to answer. */
import { Condition } from './condition.ts';

export class BoundedTasks {
  readonly #max: number;
  readonly #state: Condition;
  readonly #running = new Set<Promise<void>>();

  /** @param max at a time. @param state gets the failures, and is woken at the end of each task */
  constructor(max: number, state: Condition = new Condition()) {
    this.#max = max;
    this.#state = state;
  }

  /** Begins a task, as soon as one may begin. @throws the first failure */
  async start(task: () => Promise<void>): Promise<void> {
    await this.#state.until(() => this.#running.size < this.#max);
    const running = task().catch((error: unknown) => this.#state.fail(error));
    this.#running.add(running);
    running.then(() => {
      this.#running.delete(running);
      this.#state.wake();
    });
  }

  /** Resolves when all have ended well. @throws the first failure, at once */
  finish(): Promise<void> {
    return this.#state.until(() => this.#running.size === 0);
  }

  /** Resolves when all have ended, well or not. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
