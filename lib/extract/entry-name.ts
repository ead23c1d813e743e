/**
 * Names inside a directory: which ones of an archive are safe to use, and names for files that are
 * not complete yet (spec/threats.md, "Names"). Used by the confined directory and the file target.
 */
import { PipelineError } from '../errors.ts';

/** The longest name Linux file systems take, in bytes. */
const MAX_NAME_LENGTH = 255;
const SLASH = 0x2f;
const DOT = 0x2e;
const RANDOM_LENGTH = 8;
const PREFIX = [DOT, 0x23];

/**
 * Refuses everything that is not the name of exactly one entry of a directory.
 * @throws PipelineError `UNSAFE_NAME` without subject
 */
export function checkEntryName(name: Uint8Array): void {
  const reason = whyUnsafe(name);
  if (reason === undefined) return;
  throw new PipelineError('UNSAFE_NAME', { step: 'use name', reason });
}

function whyUnsafe(name: Uint8Array): string | undefined {
  if (name.length === 0) return 'the name is empty';
  if (name.length > MAX_NAME_LENGTH) return `the name is longer than ${MAX_NAME_LENGTH} bytes`;
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) {
    return 'the name stands for another directory';
  }
  for (const byte of name) {
    if (byte === SLASH) return 'the name contains a slash';
    if (byte === 0) return 'the name contains a NUL byte';
  }
  return undefined;
}

let pool = new Uint8Array(0);
let used = 0;

function randomHex(): Uint8Array {
  if (used === pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(512 * RANDOM_LENGTH));
    used = 0;
  }
  const hex = new Uint8Array(2 * RANDOM_LENGTH);
  for (let i = 0; i < RANDOM_LENGTH; i++, used++) {
    hex[2 * i] = hexDigit(pool[used] >>> 4);
    hex[2 * i + 1] = hexDigit(pool[used] & 15);
  }
  return hex;
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/**
 * A name for something that is to become `name` later: `.#NAME` and 16 hex digits, as the original
 * makes them. A long name is shortened so that the result is a valid name.
 */
export function temporaryName(name: Uint8Array): Uint8Array {
  const digits = randomHex();
  const kept = name.subarray(0, MAX_NAME_LENGTH - PREFIX.length - digits.length);
  const result = new Uint8Array(PREFIX.length + kept.length + digits.length);
  result.set(PREFIX);
  result.set(kept, PREFIX.length);
  result.set(digits, PREFIX.length + kept.length);
  return result;
}
