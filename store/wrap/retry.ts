/**
 * What may pass is tried again: with pauses that grow, at random moments, so that many clients do not
 * come back together (spec/remote.md, "Wrappers"). What may pass is the backend's knowledge: errors
 * with `retry: 'later'`.
 */
import { CasError, isCasError } from '../../formats/errors.ts';
import type { ListedObject, ObjectBackend, SignalOption } from '../backend.ts';
import { StorageError } from '../errors.ts';
import type { WaitingClock } from './clock.ts';

const ATTEMPT_COUNT = 8;
/** Longest pause before the second attempt; twice that before each further one. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A server that wants more time does not get it. */
const LONGEST_REQUESTED_PAUSE_MS = 60_000;

export interface RetryEvent {
  /** Of the place; for messages. */
  readonly label: string;
  readonly error: CasError;
  /** Attempts that have failed. */
  readonly attempt: number;
  readonly delayMs: number;
}

export interface RetryOptions {
  /** How often something is tried in all; default 8. */
  readonly attemptCount?: number;
  readonly clock: WaitingClock;
  /** From 0 to less than 1. */
  readonly random: () => number;
  /** Told before each pause. */
  readonly onRetry?: (event: RetryEvent) => void;
}

/** How often has been tried what goes on for long; progress starts the count again. */
export interface Attempts {
  failed: number;
}

/** The pauses and their end, for all kinds of work at one place. */
export class Retrier {
  readonly #label: string;
  readonly #options: RetryOptions;

  /** @param label of the place; never contains credentials */
  constructor(label: string, options: RetryOptions) {
    this.#label = label;
    this.#options = options;
  }

  /** @param action can be repeated as a whole @throws what its last attempt throws */
  async run<T>(action: () => T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const attempts = { failed: 0 };
    for (;;) {
      try {
        return await action();
      } catch (error) {
        await this.pause(error, attempts, signal);
      }
    }
  }

  /**
   * Returns when the next attempt may be made.
   * @throws `error` if it does not pass, or has been met too often
   */
  async pause(error: unknown, attempts: Attempts, signal: AbortSignal | undefined): Promise<void> {
    if (!isCasError(error) || error.retry !== 'later') throw error;
    signal?.throwIfAborted();
    const { attemptCount = ATTEMPT_COUNT, clock, onRetry } = this.#options;
    attempts.failed++;
    if (attempts.failed >= attemptCount) throw givenUp(error, attempts.failed);
    const delayMs = this.#delayMs(error, attempts.failed);
    onRetry?.({ label: this.#label, error, attempt: attempts.failed, delayMs });
    await clock.sleep(delayMs, signal);
  }

  #delayMs(error: CasError, failed: number): number {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failed - 1));
    const own = this.#options.random() * longest;
    const requested = error instanceof StorageError ? (error.retryAfterMs ?? 0) : 0;
    return Math.ceil(Math.min(requested, LONGEST_REQUESTED_PAUSE_MS) + own);
  }
}

/** The same failure for good: nobody else shall try again. */
function givenUp(error: CasError, attempts: number): CasError {
  if (attempts === 1) return error;
  const { code, subject, step } = error;
  const reason = `${error.reason} (tried ${attempts} times)`;
  return new CasError(code, {
    reason,
    cause: error,
    ...(subject === undefined ? {} : { subject }),
    ...(step === undefined ? {} : { step }),
  });
}

/** @param backend belongs to the result from now on */
export function openRetryingBackend(backend: ObjectBackend, options: RetryOptions): ObjectBackend {
  const retrier = new Retrier(backend.label, options);
  const { removeMany } = backend;
  return {
    label: backend.label,
    can: backend.can,
    get: (key, get) => retrier.run(() => backend.get(key, get), get?.signal),
    has: (keys, has) => retrier.run(() => backend.has(keys, has), has?.signal),
    stat: (key, stat) => retrier.run(() => backend.stat(key, stat), stat?.signal),
    put: (key, bytes, put) => retrier.run(() => backend.put(key, bytes, put), put?.signal),
    remove: (key, remove) => retrier.run(() => backend.remove(key, remove), remove?.signal),
    ...(removeMany && {
      removeMany: (keys, remove) =>
        retrier.run(() => removeMany.call(backend, keys, remove), remove?.signal),
    }),
    // Objects that a barrier could not store may be gone: a second one would say that all is well.
    flush: (flush) => backend.flush(flush),
    list: (prefix, list) => retriedList(backend, retrier, prefix, list),
    close: () => backend.close(),
  };
}

/**
 * A listing that fails on its way is taken up again behind what was listed last, if the backend lists
 * in order. Otherwise nobody would know what has been listed, and the failure stands.
 */
async function* retriedList(
  backend: ObjectBackend,
  retrier: Retrier,
  prefix: string,
  options: SignalOption | undefined,
): AsyncGenerator<ListedObject> {
  const attempts = { failed: 0 };
  let last = '';
  for (;;) {
    const resumedBehind = last;
    try {
      for await (const object of backend.list(prefix, options)) {
        if (resumedBehind !== '' && object.key <= resumedBehind) continue;
        last = object.key;
        attempts.failed = 0;
        yield object;
      }
      return;
    } catch (error) {
      if (last !== '' && backend.can.listInOrder !== true) throw error;
      await retrier.pause(error, attempts, options?.signal);
    }
  }
}
