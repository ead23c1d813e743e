/** What the connection of a session itself says. Implements spec/formats/session.md, "Connection". */
import { readU32, writeU32 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Bytes of frames that may be under way to a side that has not taken them yet. */
export const SESSION_WINDOW = 4 * 1024 * 1024;
/** The versions of the protocol that this code speaks. */
const [OLDEST_VERSION, NEWEST_VERSION] = [1, 1];

export function encodeHello(): Uint8Array {
  const content = new Uint8Array(8);
  writeU32(content, 0, OLDEST_VERSION);
  writeU32(content, 4, NEWEST_VERSION);
  return content;
}

/**
 * @returns the version that both speak
 * @throws FormatError if there is none
 */
export function decodeHello(content: Uint8Array): number {
  if (content.length < 8) throw new FormatError('session', 'HELLO', 0, 'at least 8 bytes');
  const [oldest, newest] = [readU32(content, 0), readU32(content, 4)];
  const version = Math.min(newest, NEWEST_VERSION);
  if (version >= Math.max(oldest, OLDEST_VERSION)) return version;
  const theirs = oldest === newest ? `version ${oldest}` : `versions ${oldest} to ${newest}`;
  throw new FormatError(
    'session',
    'HELLO',
    0,
    `the casync there speaks ${theirs}, this one ${NEWEST_VERSION}: one must be updated`,
  );
}

export function encodeCredit(bytes: number): Uint8Array {
  const content = new Uint8Array(4);
  writeU32(content, 0, bytes);
  return content;
}

export function decodeCredit(content: Uint8Array): number {
  if (content.length !== 4) throw new FormatError('session', 'CREDIT', 0, 'a number of 4 bytes');
  return readU32(content, 0);
}
