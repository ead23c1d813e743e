/** Byte counts for people: `292.9K`, one decimal that is cut off, powers of 1024. */
const UNITS = ['K', 'M', 'G', 'T', 'P', 'E'];

export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${Math.floor(bytes)}B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${(Math.floor(value * 10) / 10).toFixed(1)}${UNITS[unit]}`;
}
