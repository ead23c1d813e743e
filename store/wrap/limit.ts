/**
 * A bounded number of requests under way, as many as the place can do with ({@link Concurrency}): the
 * others wait their turn. For every backend that has a server behind it (spec/remote.md, "Wrappers").
 */
import { isCasError } from '../../formats/errors.ts';
import type { ObjectBackend } from '../backend.ts';
import { StorageError } from '../errors.ts';
import { Concurrency, type RequestOutcome } from './concurrency.ts';

const START = 64;
const CEILING = 512;

export interface LimitOptions {
  /** Requests, at most; 512 if left out. */
  readonly concurrency?: number;
  /** Milliseconds from any beginning; never goes back. */
  readonly now: () => number;
}

/** A request that may begin, or has given up. */
interface Waiting {
  readonly begin: () => void;
}

/** Lets requests begin, in the order in which they came. */
class RequestLimit {
  readonly #concurrency: Concurrency;
  readonly #now: () => number;
  /** In order; a set, so that those that give up leave at once. */
  readonly #waiting = new Set<Waiting>();
  #underWay = 0;

  constructor({ concurrency = CEILING, now }: LimitOptions) {
    this.#concurrency = new Concurrency({ ceiling: concurrency, start: START });
    this.#now = now;
  }

  /** Makes the request in its turn. @throws what it throws; the reason of the signal */
  async run<T>(request: () => T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    if (this.#underWay < this.#concurrency.limit) this.#underWay++;
    else await this.#turn(signal);
    const startedAtMs = this.#now();
    try {
      const result = await request();
      this.#ended(startedAtMs, 'answered');
      return result;
    } catch (error) {
      this.#ended(startedAtMs, outcomeOf(error));
      throw error;
    }
  }

  #ended(startedAtMs: number, outcome: RequestOutcome | undefined): void {
    if (outcome !== undefined) {
      this.#concurrency.finished({ startedAtMs, outcome }, this.#underWay, this.#now());
    }
    this.#underWay--;
    this.#beginNext();
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        reject(signal?.reason);
      };
      const waiting: Waiting = {
        begin: () => {
          signal?.removeEventListener('abort', leave);
          this.#underWay++;
          resolve();
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.add(waiting);
    });
  }

  #beginNext(): void {
    for (const waiting of this.#waiting) {
      if (this.#underWay >= this.#concurrency.limit) return;
      this.#waiting.delete(waiting);
      waiting.begin();
    }
  }
}

/** Whether the place could not take the request, or not take it to its end; undefined if we gave up. */
function outcomeOf(error: unknown): RequestOutcome | undefined {
  if (!isCasError(error)) return undefined;
  if (error.retry !== 'later') return 'answered';
  return error instanceof StorageError && error.isBusy ? 'refused' : 'lost';
}

/** @param backend belongs to the result from now on */
export function openLimitedBackend(backend: ObjectBackend, options: LimitOptions): ObjectBackend {
  const limit = new RequestLimit(options);
  const { removeMany } = backend;
  return {
    label: backend.label,
    can: backend.can,
    get: (key, get) => limit.run(() => backend.get(key, get), get?.signal),
    has: (keys, has) => limit.run(() => backend.has(keys, has), has?.signal),
    stat: (key, stat) => limit.run(() => backend.stat(key, stat), stat?.signal),
    put: (key, bytes, put) => limit.run(() => backend.put(key, bytes, put), put?.signal),
    remove: (key, remove) => limit.run(() => backend.remove(key, remove), remove?.signal),
    ...(removeMany && {
      removeMany: (keys, remove) =>
        limit.run(() => removeMany.call(backend, keys, remove), remove?.signal),
    }),
    flush: (flush) => backend.flush(flush),
    list: (prefix, list) => backend.list(prefix, list),
    close: () => backend.close(),
  };
}
