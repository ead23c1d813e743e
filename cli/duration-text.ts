/** Durations for people: `0`, `830us`, `4ms`, `1.5s`, `2min 3s`. */

const UNITS: readonly (readonly [microseconds: number, name: string])[] = [
  [86_400_000_000, 'd'],
  [3_600_000_000, 'h'],
  [60_000_000, 'min'],
];
const SECOND = 1_000_000;

/** @param durationMs in milliseconds, also parts of one */
export function durationText(durationMs: number): string {
  let left = Math.floor(durationMs * 1000);
  if (left < 1000) return left === 0 ? '0' : `${left}us`;
  if (left < SECOND) return `${Math.floor(left / 1000)}ms`;
  if (left < 60 * SECOND) return `${(Math.floor(left / 100_000) / 10).toString()}s`;
  const parts: string[] = [];
  for (const [microseconds, name] of UNITS) {
    const count = Math.floor(left / microseconds);
    left -= count * microseconds;
    if (count > 0) parts.push(`${count}${name}`);
  }
  const seconds = Math.floor(left / SECOND);
  if (seconds > 0) parts.push(`${seconds}s`);
  return parts.join(' ');
}
