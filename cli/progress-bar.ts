/** Progress on a terminal: one line on standard error, rewritten a few times a second. */
import type { ProgressEvent, ProgressSink } from '../lib/progress.ts';
import { sizeText } from './size-text.ts';

const INTERVAL_MS = 200;
const CLEAR_LINE = '\r\u001b[K';

export interface ProgressBar {
  readonly sink: ProgressSink;
  /** Removes the line, before other output and at the end. */
  readonly clear: () => void;
}

/** A bar that shows nothing, for output that is no terminal. */
export const NO_PROGRESS_BAR: ProgressBar = { sink: () => {}, clear: () => {} };

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes === 0 ? `${whole}s` : `${minutes}min ${whole % 60}s`;
}

function lineOf(event: ProgressEvent, bytesPerSecond: number): string {
  const parts = [event.phase, sizeText(event.doneBytes)];
  if (event.totalBytes !== undefined && event.totalBytes > 0) {
    const percent = Math.floor((100 * event.doneBytes) / event.totalBytes);
    parts[1] += ` of ${sizeText(event.totalBytes)} (${percent}%)`;
    if (bytesPerSecond > 0) {
      parts.push(`${durationText((event.totalBytes - event.doneBytes) / bytesPerSecond)} left`);
    }
  }
  parts.push(`${sizeText(bytesPerSecond)}/s`);
  if (event.chunkCount) parts.push(`${event.chunkCount} chunks`);
  if (event.reusedChunkCount) parts.push(`${event.reusedChunkCount} reused`);
  return parts.join('  ');
}

/**
 * @param write writes text to the terminal at once
 * @param columns width of the terminal
 */
export function openProgressBar(write: (text: string) => void, columns: number): ProgressBar {
  const started = performance.now();
  let shown = Number.NEGATIVE_INFINITY;
  let visible = false;
  return {
    sink(event) {
      const now = performance.now();
      if (now - shown < INTERVAL_MS) return;
      shown = now;
      visible = true;
      const bytesPerSecond = event.doneBytes / Math.max(0.001, (now - started) / 1000);
      write(`${CLEAR_LINE}${lineOf(event, bytesPerSecond).slice(0, columns - 1)}`);
    },
    clear() {
      if (visible) write(CLEAR_LINE);
      visible = false;
      shown = Number.NEGATIVE_INFINITY;
    },
  };
}
