/** The table error code -> exit status (spec/exit-codes.md). Codes that are not listed end with 1. */
import { isCasError } from '../formats/errors.ts';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
/** What `diff` and `verify` have compared is not equal. */
export const EXIT_DIFFERENT = 1;
export const EXIT_SOURCE_INCOMPLETE = 3;
export const EXIT_ABORTED = 130;

const EXIT_CODES: Readonly<Record<string, number>> = {
  USAGE: EXIT_FAILED,
  SOURCE_INCOMPLETE: EXIT_SOURCE_INCOMPLETE,
  SOURCE_CHANGED: EXIT_SOURCE_INCOMPLETE,
  STORE_MISSING: 10,
  INDEX_MISSING: 10,
  OBJECT_MISSING: 10,
  LEASE_HELD: 11,
  LEASE_LOST: 11,
  CHUNK_MISSING: 12,
  LIMIT_EXCEEDED: 13,
  TARGET_FULL: 13,
  FORMAT: 14,
  CHUNK_DAMAGED: 14,
  VERIFY_FAILED: 14,
  UNSAFE_NAME: 15,
  UNSAFE_TARGET: 15,
  UNAVAILABLE: 16,
  DENIED: 16,
  ABORTED: EXIT_ABORTED,
};

/** Exit status for a failure. */
export function exitCodeOf(error: unknown): number {
  return isCasError(error) ? exitCodeOfCode(error.code) : EXIT_FAILED;
}

/** Exit status for the code of a failure. */
export function exitCodeOfCode(code: string): number {
  return EXIT_CODES[code] ?? EXIT_FAILED;
}
