/** Time for wrappers that wait: injected, so that tests need none of it. */

export interface WaitingClock {
  /** Milliseconds from any beginning; never goes back. */
  now(): number;
  /** Rejects with the reason of the signal if that fires. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export const SYSTEM_CLOCK: WaitingClock = {
  now: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        settle();
      };
      const stop = (): void => finish(() => reject(signal?.reason));
      const timer = setTimeout(() => finish(resolve), ms);
      signal?.addEventListener('abort', stop);
    });
  },
};
