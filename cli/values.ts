/** How option values are read (spec/command-line.md, "Values"). Unreadable values give undefined. */

/** State of `--uid-shift` and `--uid-range`; shifting is on as soon as one of them asked for it. */
export interface UidShiftOption {
  readonly enabled: boolean;
  readonly shift: number;
  readonly range: number;
}

const TRUE = new Set(['1', 'yes', 'y', 'true', 't', 'on']);
const FALSE = new Set(['0', 'no', 'n', 'false', 'f', 'off']);

export function parseBoolean(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (TRUE.has(word)) return true;
  return FALSE.has(word) ? false : undefined;
}

const LOG_LEVELS: readonly (readonly string[])[] = [
  ['emerg', 'emergency', '0'],
  ['alert', '1'],
  ['crit', 'critical', '2'],
  ['err', 'error', '3'],
  ['warn', 'warning', '4'],
  ['notice', '5'],
  ['info', '6'],
  ['debug', '7'],
];

/** Log level 0-7 by name or number. */
export function parseLogLevel(text: string): number | undefined {
  const level = LOG_LEVELS.findIndex((names) => names.includes(text));
  return level < 0 ? undefined : level;
}

/** A number as the C library reads it: decimal, `0x` hexadecimal, leading `0` octal. */
function parseNumber(text: string): number | undefined {
  const trimmed = text.trim();
  let value = Number.NaN;
  if (/^0[xX][0-9a-fA-F]+$/.test(trimmed)) value = Number.parseInt(trimmed, 16);
  else if (/^0[0-7]*$/.test(trimmed)) value = Number.parseInt(trimmed, 8);
  else if (/^[1-9][0-9]*$/.test(trimmed)) value = Number.parseInt(trimmed, 10);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** First a number (which switches shifting on), then a boolean. */
export function parseUidShift(text: string): Partial<UidShiftOption> | undefined {
  const shift = parseNumber(text);
  if (shift !== undefined && shift <= 0xffff_fffe && shift !== 65535) {
    return { enabled: true, shift };
  }
  const enabled = parseBoolean(text);
  if (enabled === undefined) return undefined;
  return enabled ? { enabled } : { enabled, shift: 0 };
}

/** First a number from 1 to 2^32 (which switches shifting on), then a boolean. */
export function parseUidRange(text: string): Partial<UidShiftOption> | undefined {
  const range = parseNumber(text);
  if (range !== undefined && range >= 1 && range <= 0x1_0000_0000) return { enabled: true, range };
  const enabled = parseBoolean(text);
  if (enabled === undefined) return undefined;
  return { enabled };
}
