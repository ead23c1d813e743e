/**
 * Progress on a terminal: one line on standard error, rewritten a few times a second, gone before any
 * other output and in the end (spec/command-line.md, "Progress").
 */
import type { ProgressEvent, ProgressSink } from '../lib/progress.ts';
import { progressText } from './progress-text.ts';
import { createRateMeter } from './rate-meter.ts';

const INTERVAL_MS = 200;
/** What takes no longer than this shows no line at all. */
const FIRST_AFTER_MS = 400;
/** How often the line is renewed while nothing is reported: the rate sinks, the width may change. */
const RENEW_MS = 500;
const CLEAR_LINE = '\r\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const LINE_UP = '\u001b[A';

export interface ProgressBar {
  readonly sink: ProgressSink;
  /** Removes the line, before other output; it comes back by and by. */
  readonly clear: () => void;
  /** Removes the line for good. */
  readonly close: () => void;
}

/** A bar that shows nothing, for output that is no terminal. */
export const NO_PROGRESS_BAR: ProgressBar = { sink: () => {}, clear: () => {}, close: () => {} };

/** Where the bar is shown. */
export interface Terminal {
  /** Writes text at once. */
  readonly write: (text: string) => void;
  /** Its width now. */
  readonly columns: () => number;
  /** Milliseconds from any beginning. */
  readonly now: () => number;
}

/** A bar on `terminal`; renews itself until it is closed, without keeping the process alive. */
export function openProgressBar(terminal: Terminal): ProgressBar {
  let meter = createRateMeter(terminal.now(), 0);
  let latest: ProgressEvent | undefined;
  let nextAtMs = terminal.now() + FIRST_AFTER_MS;
  let shownLength = 0;
  const erased = (): string => {
    if (shownLength === 0) return '';
    // A terminal that has become narrower has broken the line into several.
    const rows = Math.ceil(shownLength / Math.max(1, terminal.columns()));
    shownLength = 0;
    return rows > 1 ? `\r${LINE_UP.repeat(rows - 1)}${CLEAR_BELOW}` : CLEAR_LINE;
  };
  const draw = (): void => {
    const nowMs = terminal.now();
    if (latest === undefined || nowMs < nextAtMs) return;
    nextAtMs = nowMs + INTERVAL_MS;
    const bytesPerSecond = meter.bytesPerSecond(nowMs);
    const before = erased();
    // The last column stays free: a cursor behind it is in different places on different terminals.
    const text = progressText(latest, bytesPerSecond, terminal.columns() - 1);
    terminal.write(`${before || '\r'}${text}`);
    shownLength = text.length;
  };
  const clear = (): void => {
    const text = erased();
    if (text !== '') terminal.write(text);
    nextAtMs = Math.max(nextAtMs, terminal.now() + INTERVAL_MS);
  };
  const timer = setInterval(draw, RENEW_MS);
  timer.unref();
  return {
    clear,
    sink(event) {
      const nowMs = terminal.now();
      if (latest !== undefined && latest.phase !== event.phase) {
        meter = createRateMeter(nowMs, event.doneBytes);
      }
      latest = event;
      meter.report(event.doneBytes, nowMs);
      draw();
    },
    close() {
      clearInterval(timer);
      clear();
      latest = undefined;
    },
  };
}
