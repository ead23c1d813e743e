/**
 * Lets the event loop run now and then inside long synchronous work, so that signals, timers and
 * finished native calls are seen. Shared by all pipelines.
 */

/** Resolves at once, or after one turn of the event loop if the last turn is long ago. */
export type Breather = () => Promise<void> | undefined;

const INTERVAL_MS = 50;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

/** @param now clock in milliseconds, replaceable in tests */
export function createBreather(now: () => number = () => performance.now()): Breather {
  let last = now();
  return () => {
    if (now() - last < INTERVAL_MS) return undefined;
    return nextTurn().then(() => {
      last = now();
    });
  };
}
