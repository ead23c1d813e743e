/** Failures in the middle of work that goes on, as lines of text. */
import { isCasError } from '../formats/errors.ts';

/** One line for a failure. */
export function failureText(error: unknown): string {
  if (isCasError(error)) return error.message;
  return `Internal error: ${error instanceof Error ? error.message : String(error)}`;
}
