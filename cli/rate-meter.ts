/** How fast something goes now: a mean over the last few seconds, for the progress bar. */

/** Time after which what went before counts for less than half. */
const HALF_LIFE_MS = 2000;
/** Reports within this time count as one. */
const SAMPLE_MS = 1000;
/** Within this time from the begin nothing can be said. */
const BEGIN_MS = 100;

export interface RateMeter {
  /** @param doneBytes bytes so far; @param nowMs time of the report */
  report(doneBytes: number, nowMs: number): void;
  /** The rate, which sinks while nothing is reported. */
  bytesPerSecond(nowMs: number): number;
}

/**
 * @param startMs time of the begin
 * @param startBytes bytes that were done by then
 */
export function createRateMeter(startMs: number, startBytes: number): RateMeter {
  let doneBytes = startBytes;
  let sampledBytes = startBytes;
  let sampledAtMs = startMs;
  // Sums of bytes and of milliseconds, both fading: their quotient is right from the first sample on.
  let bytes = 0;
  let milliseconds = 0;
  return {
    report(nowDoneBytes, nowMs) {
      doneBytes = nowDoneBytes;
      const elapsedMs = nowMs - sampledAtMs;
      if (elapsedMs < SAMPLE_MS) return;
      const kept = 0.5 ** (elapsedMs / HALF_LIFE_MS);
      bytes = bytes * kept + Math.max(0, doneBytes - sampledBytes);
      milliseconds = milliseconds * kept + elapsedMs;
      sampledBytes = doneBytes;
      sampledAtMs = nowMs;
    },
    bytesPerSecond(nowMs) {
      const elapsedMs = nowMs - sampledAtMs;
      const kept = 0.5 ** (elapsedMs / HALF_LIFE_MS);
      const total = milliseconds * kept + elapsedMs;
      if (total < BEGIN_MS) return 0;
      return ((bytes * kept + Math.max(0, doneBytes - sampledBytes)) / total) * 1000;
    },
  };
}
