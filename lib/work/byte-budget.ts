/** A number of bytes that many share: who finds too few left waits for his turn. Used where memory is bounded. */
import type { SignalOption } from '../../store/backend.ts';
import { abortedError, throwIfAborted } from '../errors.ts';

interface Waiting {
  readonly bytes: number;
  readonly begin: () => void;
}

export class ByteBudget {
  #left: number;
  readonly #waiting: Waiting[] = [];

  /** @param capacity bytes that may be taken at a time; one who asks for more never gets them */
  constructor(capacity: number) {
    this.#left = capacity;
  }

  /**
   * Takes bytes, in the order of asking; they are to be given {@link back}.
   * @throws PipelineError `ABORTED` if the signal fires first; then nothing was taken
   */
  async take(bytes: number, { signal }: SignalOption = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#waiting.length === 0 && this.#left >= bytes) {
      this.#left -= bytes;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#serve();
        reject(abortedError());
      };
      const begin = (): void => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const waiting = { bytes, begin };
      this.#waiting.push(waiting);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  back(bytes: number): void {
    this.#left += bytes;
    this.#serve();
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next !== undefined && next.bytes <= this.#left; ) {
      this.#waiting.shift();
      this.#left -= next.bytes;
      next.begin();
      next = this.#waiting[0];
    }
  }
}
