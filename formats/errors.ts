/**
 * The base of every error this project throws on purpose, and the one error that format code throws.
 * See spec/architecture.md, section "Errors".
 */

/** Survives worker threads and double installation, where `instanceof` does not. */
const MARK = Symbol.for('casync.CasError');

/** Whether trying again later can help. Only the retry wrapper looks at it. */
export type Retry = 'never' | 'later';

/** What an error message is made of; never contains credentials. */
export interface ErrorParts {
  /** The file, chunk, store or URL that is concerned, as shown to the user. */
  readonly subject?: string;
  /** What was attempted, for example `read chunk`. */
  readonly step?: string;
  /** Why it failed, for example `No such file or directory`. */
  readonly reason: string;
  readonly retry?: Retry;
  readonly cause?: unknown;
}

/**
 * An expected failure. The message is always `subject: step: reason`, one line.
 * `code` is stable and part of the interface; the message is not.
 */
export class CasError extends Error {
  readonly code: string;
  readonly subject: string | undefined;
  readonly step: string | undefined;
  readonly reason: string;
  readonly retry: Retry;

  constructor(code: string, parts: ErrorParts) {
    const { subject, step, reason } = parts;
    super(
      [subject, step, reason].filter((part) => part !== undefined && part !== '').join(': '),
      parts.cause === undefined ? undefined : { cause: parts.cause },
    );
    this.name = 'CasError';
    this.code = code;
    this.subject = subject;
    this.step = step;
    this.reason = reason;
    this.retry = parts.retry ?? 'never';
    Object.defineProperty(this, MARK, { value: true });
  }
}

/** Tells a failure that was expected and described from a programming mistake. */
export function isCasError(error: unknown): error is CasError {
  return typeof error === 'object' && error !== null && MARK in error;
}

/** Bytes that break a format's rules: which format, which record, at which byte, what was expected. */
export class FormatError extends CasError {
  readonly format: string;
  readonly record: string;
  /** Offset in bytes of the offending record or field from the start of the stream. */
  readonly offset: number;

  constructor(format: string, record: string, offset: number, expectation: string) {
    super('FORMAT', { step: `${format} ${record} at byte ${offset}`, reason: expectation });
    this.name = 'FormatError';
    this.format = format;
    this.record = record;
    this.offset = offset;
  }
}

/** An upper bound of {@link DecodeLimits} or of an output ceiling was exceeded. */
export class LimitExceeded extends CasError {
  constructor(parts: ErrorParts) {
    super('LIMIT_EXCEEDED', parts);
    this.name = 'LimitExceeded';
  }
}

/** The same failure, named after the thing it happened to: for codecs, which do not know file names. */
export function about(subject: string, error: unknown): unknown {
  if (!isCasError(error) || error.subject !== undefined) return error;
  const { step, reason, retry } = error;
  return new CasError(error.code, {
    subject,
    reason,
    retry,
    cause: error,
    ...(step === undefined ? {} : { step }),
  });
}
