/** Both ends of a tree session in one process. */
import type { SessionMessage } from '../session/connection.ts';
import type { TreeConnection } from './messages.ts';

/** Messages that may wait to be taken; answers come in order, so few do. */
const MOST_WAITING = 16;

/** @returns the two ends, and what ends both with a failure */
export function memoryPair(): readonly [TreeConnection, TreeConnection, (error: unknown) => void] {
  const there = new Pipe();
  const back = new Pipe();
  const end = (label: string, output: Pipe, input: Pipe): TreeConnection => ({
    label,
    send: (kind, content) => output.put({ kind, content }),
    receive: () => input.take(),
  });
  const cut = (error: unknown): void => {
    there.fail(error);
    back.fail(error);
  };
  return [end('target', there, back), end('source', back, there), cut];
}

class Pipe {
  readonly #messages: SessionMessage[] = [];
  #wakers: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  async put(message: SessionMessage): Promise<void> {
    this.#messages.push(message);
    this.#wake();
    while (this.#messages.length > MOST_WAITING && !this.#failure) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async take(): Promise<SessionMessage> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const message = this.#messages.shift();
      if (message !== undefined) {
        this.#wake();
        return message;
      }
      await this.#change();
    }
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakers.push(resolve);
    });
  }
}
