/**
 * Progress on a terminal: one line on standard error, rewritten a few times a second, gone before any
 * other output and in the end (spec/command-line.md, "Progress").
 */
import type { ProgressEvent, ProgressSink } from '../lib/progress.ts';
import { createRateMeter } from './rate-meter.ts';
import { sizeText } from './size-text.ts';

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

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return `${hours}h ${minutes % 60}min`;
  return minutes > 0 ? `${minutes}min ${whole % 60}s` : `${whole}s`;
}

/**
 * The text of the line, as much of it as there is room for.
 * @param columns longest allowed text
 */
export function progressText(
  event: ProgressEvent,
  bytesPerSecond: number,
  columns: number,
): string {
  const { phase, doneBytes, totalBytes, chunkCount, reusedChunkCount = 0 } = event;
  const parts = [phase, sizeText(doneBytes)];
  if (totalBytes !== undefined && totalBytes > 0) {
    const percent = Math.min(100, Math.floor((100 * doneBytes) / totalBytes));
    parts[1] += ` of ${sizeText(totalBytes)} (${percent}%)`;
  }
  parts.push(`${sizeText(bytesPerSecond)}/s`);
  // Slower than a byte a second, nobody knows when.
  if (totalBytes !== undefined && totalBytes > doneBytes && bytesPerSecond >= 1) {
    parts.push(`${durationText((totalBytes - doneBytes) / bytesPerSecond)} left`);
  }
  if (chunkCount) {
    parts.push(`chunks: ${chunkCount - reusedChunkCount} new, ${reusedChunkCount} reused`);
  }
  while (parts.length > 1 && parts.join('  ').length > columns) parts.pop();
  return parts.join('  ').slice(0, Math.max(0, columns));
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
