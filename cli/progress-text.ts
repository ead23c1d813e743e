/** The state of a run as one line of text, for the progress bar. */
import type { ProgressEvent } from '../lib/progress.ts';
import { durationText } from './duration-text.ts';
import { sizeText } from './size-text.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** The time that is left: in whole seconds, beyond an hour in minutes; never less than it is. */
function timeLeftText(seconds: number): string {
  const grain = seconds > HOUR ? MINUTE : 1;
  return durationText(Math.ceil(seconds / grain) * grain * 1000);
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
    parts.push(`${timeLeftText((totalBytes - doneBytes) / bytesPerSecond)} left`);
  }
  if (chunkCount) {
    parts.push(`chunks: ${chunkCount - reusedChunkCount} new, ${reusedChunkCount} reused`);
  }
  while (parts.length > 1 && parts.join('  ').length > columns) parts.pop();
  return parts.join('  ').slice(0, Math.max(0, columns));
}
