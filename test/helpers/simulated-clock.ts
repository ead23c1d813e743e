/** A clock for wrappers that wait: time passes when everybody sleeps, and at once. */
import type { WaitingClock } from '../../store/wrap/clock.ts';

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

export interface SimulatedClock extends WaitingClock {
  /** All pauses so far, in milliseconds. */
  readonly pauses: readonly number[];
}

export function createSimulatedClock(): SimulatedClock {
  const sleepers: Sleeper[] = [];
  const pauses: number[] = [];
  let nowMs = 0;
  let isTicking = false;

  /** Wakes the first sleeper once all promises have settled that can. */
  function tick(): void {
    const next = sleepers.sort((a, b) => a.untilMs - b.untilMs).shift();
    isTicking = next !== undefined;
    if (next === undefined) return;
    nowMs = Math.max(nowMs, next.untilMs);
    next.wake();
    setImmediate(tick);
  }

  return {
    pauses,
    now: () => nowMs,
    sleep(ms, signal) {
      pauses.push(ms);
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        signal?.addEventListener('abort', () => reject(signal.reason));
        sleepers.push({ untilMs: nowMs + ms, wake: resolve });
        if (!isTicking) setImmediate(tick);
        isTicking = true;
      });
    },
  };
}
