/** Errors on their way between threads: plain data that keeps what the other side looks at. */
import { CasError, isCasError, type Retry } from '../../formats/errors.ts';

export interface ErrorMessage {
  /** Absent for programming mistakes. */
  readonly code?: string;
  readonly subject?: string;
  readonly step?: string;
  readonly reason: string;
  readonly retry?: Retry;
  readonly stack?: string;
}

/** What is sent instead of `error`. */
export function messageOfError(error: unknown): ErrorMessage {
  if (isCasError(error)) {
    const { code, subject, step, reason, retry } = error;
    return {
      code,
      reason,
      retry,
      ...(subject === undefined ? {} : { subject }),
      ...(step === undefined ? {} : { step }),
    };
  }
  if (!(error instanceof Error)) return { reason: String(error) };
  return { reason: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) };
}

/** The error that was meant. */
export function errorFromMessage({ code, stack, ...parts }: ErrorMessage): Error {
  if (code !== undefined) return new CasError(code, parts);
  const error = new Error(parts.reason);
  if (stack !== undefined) error.stack = stack;
  return error;
}
