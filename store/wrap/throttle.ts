/**
 * Bytes per second for all that goes to and from a place (spec/remote.md, "Wrappers"; option
 * `--rate-limit-bps=`).
 */
import type { ObjectBackend } from '../backend.ts';
import type { FileWriter, RemoteFile } from '../remote-file.ts';
import type { WaitingClock } from './clock.ts';

/** Time that was not used may be made up for that far; timers are no more exact than that. */
const CREDIT_MS = 100;
const SHORTEST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 100;
/** Bytes that an object is thought to have before any is known: those of a usual chunk. */
const FIRST_GUESS = 64 * 1024;

/**
 * What has gone through is paid for with time. Whoever comes while there are debts waits until they
 * are paid, in order of arrival; so the size of an object need not be known beforehand.
 */
export class Throttle {
  readonly #msPerByte: number;
  readonly #clock: WaitingClock;
  #paidAt: number;
  #queue: Promise<void> = Promise.resolve();

  /** @param rate bytes per second */
  constructor(rate: number, clock: WaitingClock) {
    this.#msPerByte = 1000 / rate;
    this.#clock = clock;
    this.#paidAt = clock.now();
  }

  /**
   * Waits until something may go through.
   * @param expected bytes, as far as they are known: those that wait behind pay for them
   */
  async enter(expected: number, signal: AbortSignal | undefined): Promise<void> {
    const before = this.#queue;
    let leave = (): void => {};
    this.#queue = new Promise((resolve) => {
      leave = resolve;
    });
    try {
      await unlessAborted(before, signal);
      for (;;) {
        const pauseMs = this.#paidAt - this.#clock.now();
        if (pauseMs < SHORTEST_PAUSE_MS) break;
        // What is corrected meanwhile shortens it.
        await this.#clock.sleep(Math.min(pauseMs, LONGEST_PAUSE_MS), signal);
      }
      this.charge(expected);
    } finally {
      before.then(leave);
    }
  }

  /** Corrects what was expected. @param bytes may be negative */
  charge(bytes: number): void {
    const earliest = this.#clock.now() - CREDIT_MS;
    this.#paidAt = Math.max(this.#paidAt, earliest) + bytes * this.#msPerByte;
  }
}

/** @throws the reason of the signal as soon as that fires */
function unlessAborted(turn: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return turn;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop);
    turn.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
  });
}

/** @param backend belongs to the result from now on */
export function openThrottledBackend(backend: ObjectBackend, throttle: Throttle): ObjectBackend {
  /** Of the objects that were read last; what the next one probably has. */
  let usualSize = FIRST_GUESS;
  const { removeMany } = backend;
  return {
    label: backend.label,
    can: backend.can,
    async get(key, options = {}) {
      const { maxSize, range, signal } = options;
      const expected = Math.min(usualSize, maxSize ?? usualSize, range?.length ?? usualSize);
      await throttle.enter(expected, signal);
      let size = 0;
      try {
        const bytes = await backend.get(key, options);
        size = bytes.length;
        usualSize += (size - usualSize) / 8;
        return bytes;
      } finally {
        throttle.charge(size - expected);
      }
    },
    has: (keys, options) => backend.has(keys, options),
    stat: (key, options) => backend.stat(key, options),
    async put(key, bytes, options) {
      await throttle.enter(bytes.length, options?.signal);
      return backend.put(key, bytes, options);
    },
    flush: (options) => backend.flush(options),
    remove: (key, options) => backend.remove(key, options),
    ...(removeMany && { removeMany: (keys, options) => removeMany.call(backend, keys, options) }),
    list: (prefix, options) => backend.list(prefix, options),
    close: () => backend.close(),
  };
}

/** @param file belongs to the result from now on */
export function openThrottledFile(file: RemoteFile, throttle: Throttle): RemoteFile {
  return {
    label: file.label,
    stat: (options) => file.stat(options),
    async *read(options) {
      for await (const piece of file.read(options)) {
        await throttle.enter(piece.length, options?.signal);
        yield piece;
      }
    },
    async readRange(range, options) {
      await throttle.enter(range.length, options?.signal);
      let size = 0;
      try {
        const bytes = await file.readRange(range, options);
        size = bytes.length;
        return bytes;
      } finally {
        throttle.charge(size - range.length);
      }
    },
    async openWriter(options) {
      const writer = await file.openWriter(options);
      return throttledWriter(writer, throttle, options?.signal);
    },
    close: () => file.close(),
  };
}

function throttledWriter(
  writer: FileWriter,
  throttle: Throttle,
  signal: AbortSignal | undefined,
): FileWriter {
  return {
    async write(bytes) {
      await throttle.enter(bytes.length, signal);
      await writer.write(bytes);
    },
    commit: () => writer.commit(),
    discard: () => writer.discard(),
  };
}
