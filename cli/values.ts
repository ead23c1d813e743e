/** How option values are read (spec/command-line.md, "Values"). Unreadable values give undefined. */
import type { DigestName } from '../formats/chunk-id.ts';
import { isCasError } from '../formats/errors.ts';
import { parseSize } from '../formats/size.ts';
import type { ChunkerName } from '../lib/chunking/scanner.ts';
import type { SyncMode } from '../lib/stores/store-description.ts';
import type { CodecName } from '../store/transforms.ts';

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

/** One name for each level, from 0 on. */
export const LOG_LEVEL_NAMES: readonly string[] = LOG_LEVELS.map(([name]) => name);

export const DIGEST_NAMES: readonly (DigestName | 'default')[] = [
  'sha256',
  'sha512-256',
  'default',
];
export const COMPRESSION_NAMES: readonly (CodecName | 'default')[] = [
  'zstd',
  'xz',
  'gzip',
  'default',
];
export const CHUNKER_NAMES: readonly ChunkerName[] = ['buzhash', 'fastcdc'];
export const SYNC_MODES: readonly SyncMode[] = ['group', 'none'];

/** A digest by name; undefined also for `default`, which leaves the choice to the command. */
export function parseDigest(text: string): DigestName | undefined {
  const name = DIGEST_NAMES.find((known) => known === text);
  return name === 'default' ? undefined : name;
}

const STDERR = 2;

/** Where a report goes: `json` or `json:FD`. @returns a descriptor */
export function parseDescriptor(text: string): number | undefined {
  const match = /^json(?::(\d{1,4}))?$/.exec(text);
  if (!match) return undefined;
  return match[1] === undefined ? STDERR : Number(match[1]);
}

/** Log level 0-7 by name or number. */
export function parseLogLevel(text: string): number | undefined {
  const level = LOG_LEVELS.findIndex((names) => names.includes(text));
  return level < 0 ? undefined : level;
}

/**
 * A number as the C library reads it: decimal, `0x` hexadecimal, leading `0` octal; after blanks and a
 * plus, if there are any.
 */
function parseNumber(text: string): number | undefined {
  const digits = /^\s*\+?(\w+)$/.exec(text)?.[1] ?? '';
  let value = Number.NaN;
  if (/^0[xX][0-9a-fA-F]+$/.test(digits)) value = Number.parseInt(digits, 16);
  else if (/^0[0-7]*$/.test(digits)) value = Number.parseInt(digits, 8);
  else if (/^[1-9][0-9]*$/.test(digits)) value = Number.parseInt(digits, 10);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A number of bytes, `least` or more; undefined also for one that is too large to be exact. */
export function parseByteCount(text: string, least = 0): number | undefined {
  try {
    const size = parseSize(text);
    return Number.isSafeInteger(size) && size >= least ? size : undefined;
  } catch (error) {
    if (isCasError(error)) return undefined;
    throw error;
  }
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
