/**
 * The keys of a configuration file: what they may hold and what they mean (spec/remote.md, "Settings").
 * One table, for reading, showing and tests.
 */
import { parseSize } from '../../formats/size.ts';
import type { LocationSettings } from '../../store/location-settings.ts';

/** What a file says of a place. */
export type LocationFields = Omit<LocationSettings, 'environment' | 'onRetry'>;
type Field = keyof LocationFields;

/** What holds for all places, and which are used when nothing else says it. */
export interface DefaultFields {
  readonly store?: string;
  readonly extraStores?: readonly string[];
  readonly cacheStore?: string;
  /** Bytes per second. */
  readonly rateLimit?: number;
}

export interface FieldRow<Name extends string> {
  readonly key: string;
  readonly field: Name;
  /** Reads a value of a file; undefined if it does not fit. */
  readonly read: (value: unknown) => unknown;
  /** What fits, for messages. */
  readonly expected: string;
  /** `path`: of a file, and where a relative one begins; `file`: of a file that holds the value. */
  readonly meaning?: 'path' | 'locator' | 'file';
  readonly isSecret?: boolean;
}

type Parts = Pick<FieldRow<string>, 'meaning' | 'isSecret'>;

const CONTROL_CHARACTERS = /\p{Cc}/u;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return CONTROL_CHARACTERS.test(value) ? undefined : value;
}

function texts(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const read = value.map(text).filter((each) => each !== undefined);
  return read.length === value.length ? read : undefined;
}

function headers(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const areGood = entries.every(([name, each]) => HEADER_NAME.test(name) && text(each) === each);
  return areGood ? Object.fromEntries(entries) : undefined;
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 1 ? Number(value) : undefined;
}

/** Seconds as milliseconds. */
function seconds(value: unknown): number | undefined {
  const isGood = typeof value === 'number' && value > 0 && value <= 86_400;
  return isGood ? Math.ceil(value * 1000) : undefined;
}

function size(value: unknown): number | undefined {
  if (typeof value === 'number') return count(value);
  if (typeof value !== 'string') return undefined;
  try {
    return parseSize(value) || undefined;
  } catch {
    return undefined;
  }
}

function textRow<Name extends string>(key: string, field: Name, parts: Parts = {}): FieldRow<Name> {
  return { key, field, read: text, expected: 'a text', ...parts };
}

function boolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

const SIZE = 'a size such as 1048576 or "1M"';
const SECRET = { isSecret: true };
const COUNT = { read: count, expected: 'a whole number from 1 on' };

export const DEFAULT_ROWS: readonly FieldRow<keyof DefaultFields>[] = [
  textRow('store', 'store', { meaning: 'locator' }),
  {
    key: 'extra-stores',
    field: 'extraStores',
    read: texts,
    expected: 'an array of texts',
    meaning: 'locator',
  },
  textRow('cache-store', 'cacheStore', { meaning: 'path' }),
  { key: 'rate-limit', field: 'rateLimit', read: size, expected: SIZE },
];

export const LOCATION_ROWS: readonly FieldRow<Field>[] = [
  textRow('user', 'user'),
  textRow('password', 'password', SECRET),
  textRow('password-file', 'password', { meaning: 'file' }),
  textRow('token', 'token', SECRET),
  textRow('token-file', 'token', { meaning: 'file' }),
  {
    key: 'headers',
    field: 'headers',
    read: headers,
    expected: 'a table of header names and texts',
    ...SECRET,
  },
  textRow('proxy', 'proxy'),
  textRow('certificate-authorities', 'certificateAuthorities', { meaning: 'path' }),
  textRow('client-certificate', 'clientCertificate', { meaning: 'path' }),
  textRow('client-key', 'clientKey', { meaning: 'path' }),
  textRow('region', 'region'),
  textRow('profile', 'profile'),
  textRow('access-key-id', 'accessKeyId'),
  textRow('secret-access-key', 'secretAccessKey', SECRET),
  textRow('secret-access-key-file', 'secretAccessKey', { meaning: 'file' }),
  textRow('session-token', 'sessionToken', SECRET),
  textRow('endpoint', 'endpoint'),
  { key: 'path-style', field: 'pathStyle', read: boolean, expected: 'true or false' },
  textRow('ssh-program', 'sshProgram'),
  textRow('remote-program', 'remoteProgram'),
  { key: 'timeout', field: 'timeoutMs', read: seconds, expected: 'seconds, up to 86400' },
  { key: 'attempts', field: 'attemptCount', ...COUNT },
  { key: 'concurrency', field: 'concurrency', ...COUNT },
  { key: 'rate-limit', field: 'rateLimit', read: size, expected: SIZE },
];
