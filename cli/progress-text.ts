/** The state of a run as one line of text, for the progress bar. */
import type { ProgressEvent } from '../lib/progress.ts';
import { sizeText } from './size-text.ts';

/** Whole seconds, minutes and hours, never less than what is left. */
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
