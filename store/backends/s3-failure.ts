/**
 * What S3 services mean by their refusals, as errors of ours. Only codes are taken over, no texts: those
 * may hold keys and signatures. Used by the S3 storage only.
 */
import { CasError } from '../../formats/errors.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import { type HttpHeaders, header, retryAfterMs } from './http-headers.ts';
import type { S3Refusal } from './s3-answers.ts';

/** What an error is about. */
export interface S3Concern {
  /** Locator of the object, redacted. */
  readonly subject: string;
  readonly step: string;
  readonly bucket: string;
}

export interface S3RefusedAnswer extends S3Refusal {
  readonly status: number;
  readonly headers: HttpHeaders;
}

/** Refusals that other credentials of the same owner may overcome. */
const WORTHLESS: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException']);

const DENIALS: Readonly<Record<string, string>> = {
  AccessDenied: 'Access denied',
  AllAccessDisabled: 'Access denied',
  AccountProblem: 'Access denied, because of the account',
  ExpiredToken: 'The credentials have expired',
  ExpiredTokenException: 'The credentials have expired',
  InvalidAccessKeyId: 'The access key is not known there',
  InvalidToken: 'The session token is not valid',
  SignatureDoesNotMatch: 'The secret key does not fit the access key',
};

/** Codes of refusals that may pass, also where the status does not say so. */
const PASSING: ReadonlySet<string> = new Set([
  'BadDigest',
  'ConditionalRequestConflict',
  'IncompleteBody',
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentSHA256Mismatch',
]);
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

const FULL: ReadonlySet<string> = new Set([
  'EntityTooLarge',
  'InsufficientStorage',
  'QuotaExceeded',
  'XMinioStorageFull',
]);

/** Whether the service has too much to do. */
function isBusy({ status, code }: S3RefusedAnswer): boolean {
  return status === 429 || status === 503 || /^(?:SlowDown|Throttling|TooManyRequests)/.test(code);
}

export function isWorthless({ code }: S3Refusal): boolean {
  return WORTHLESS.has(code);
}

/** Whether the service does not know conditions, or the operation. */
export function isUnsupported({ status, code }: S3RefusedAnswer): boolean {
  return status === 501 || code === 'NotImplemented' || code === 'MethodNotAllowed';
}

/** Whether the clocks differ too much. */
export function isSkewed({ code }: S3Refusal): boolean {
  return code === 'RequestTimeTooSkewed' || code === 'RequestInTheFuture';
}

/** Failure of one object in a batch that went through otherwise. */
export function batchError(
  code: string,
  reason: string,
  { subject, step }: Omit<S3Concern, 'bucket'>,
): CasError {
  const passes = PASSING.has(code);
  const kind = passes ? 'UNAVAILABLE' : Object.hasOwn(DENIALS, code) ? 'DENIED' : 'IO';
  return new StorageError(kind, { subject, step, reason, retry: passes ? 'later' : 'never' });
}

/** The error to throw for a refusal. @param nowMs our time, which is compared with the answer's */
export function refusalError(
  refused: S3RefusedAnswer,
  { subject, step, bucket }: S3Concern,
  nowMs: number,
): CasError {
  const { status, code, headers } = refused;
  const parts = { subject, step };
  if (code === 'NoSuchBucket') {
    return new CasError('STORE_MISSING', { ...parts, reason: `There is no bucket ${bucket}.` });
  }
  if (code === 'NoSuchKey' || (status === 404 && code === '') || status === 410) {
    return new ObjectMissing({ ...parts, reason: 'No such object' });
  }
  if (isSkewed(refused)) {
    return new StorageError('DENIED', { ...parts, reason: skewText(headers, nowMs) });
  }
  if (FULL.has(code) || status === 507) {
    return new StorageError('TARGET_FULL', { ...parts, reason: textOf(refused) });
  }
  if (Object.hasOwn(DENIALS, code)) {
    return new StorageError('DENIED', { ...parts, reason: DENIALS[code] });
  }
  if (PASSING.has(code) || PASSING_STATUSES.has(status)) {
    const pause = retryAfterMs(headers, nowMs);
    return new StorageError('UNAVAILABLE', {
      ...parts,
      reason: textOf(refused),
      retry: 'later',
      isBusy: isBusy(refused),
      ...(pause === undefined ? {} : { retryAfterMs: pause }),
    });
  }
  if (status === 401 || status === 403) {
    // Without the right to list, missing objects are refused, and heads have no body that would tell.
    return new StorageError('DENIED', { ...parts, reason: `Access denied (${textOf(refused)})` });
  }
  return new StorageError('IO', { ...parts, reason: textOf(refused) });
}

function textOf({ status, code }: S3RefusedAnswer): string {
  return code === '' ? `HTTP status ${status}` : `${code} (HTTP status ${status})`;
}

function skewText(headers: HttpHeaders, nowMs: number): string {
  const there = Date.parse(header(headers, 'date') ?? '');
  if (Number.isNaN(there))
    return 'The clock of this machine is wrong: signatures are valid for minutes.';
  const seconds = Math.round(Math.abs(nowMs - there) / 1000);
  const relation = nowMs > there ? 'ahead of' : 'behind';
  return `The clock of this machine is ${seconds} seconds ${relation} that of the service.`;
}
