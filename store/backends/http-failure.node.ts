/**
 * The one translation of what can go wrong with an HTTP request into errors of ours, with words that
 * name no secret. Used for connections and for answers.
 */
import { STATUS_CODES } from 'node:http';
import { type CasError, isCasError } from '../../formats/errors.ts';
import { ObjectMissing, StorageError, type StorageErrorParts } from '../errors.ts';
import { storageErrorCodeOf, systemErrorCode, systemErrorText } from '../system-error.node.ts';
import { type HttpHeaders, retryAfterMs } from './http-headers.ts';

/** What an error is about. */
export interface Concern {
  /** URL, redacted. */
  readonly subject: string;
  /** `get`, `put` and the like. */
  readonly step: string;
}

const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503]);
const MISSING_STATUSES: ReadonlySet<number> = new Set([404, 410]);
const DENYING_STATUSES: ReadonlySet<number> = new Set([401, 403, 407]);
const INSUFFICIENT_STORAGE = 507;

export function isMissing(status: number): boolean {
  return MISSING_STATUSES.has(status);
}

/** `404 Not Found`; the server's own words do not matter. */
function statusText(status: number): string {
  const text = STATUS_CODES[status];
  return text === undefined ? `HTTP status ${status}` : `${status} ${text}`;
}

/** The error to throw for an answer that is not the wanted one. */
export function statusError(status: number, headers: HttpHeaders, concern: Concern): CasError {
  const parts: StorageErrorParts = { ...concern, reason: statusText(status) };
  if (isMissing(status)) return new ObjectMissing(parts);
  if (DENYING_STATUSES.has(status)) return new StorageError('DENIED', parts);
  if (status === INSUFFICIENT_STORAGE) return new StorageError('TARGET_FULL', parts);
  if (!PASSING_STATUSES.has(status)) return new StorageError('IO', parts);
  const pause = retryAfterMs(headers, Date.now());
  return new StorageError('UNAVAILABLE', {
    ...parts,
    retry: 'later',
    isBusy: BUSY_STATUSES.has(status),
    ...(pause === undefined ? {} : { retryAfterMs: pause }),
  });
}

interface Failure {
  readonly reason: string;
  /** What may pass is `later`. */
  readonly retry?: 'later';
  readonly code?: 'UNAVAILABLE' | 'DENIED';
}

const passing = (reason: string): Failure => ({ reason, retry: 'later', code: 'UNAVAILABLE' });
const CUT_OFF = passing('The connection was closed before the answer was complete');

const FAILURES: Readonly<Record<string, Failure>> = {
  UND_ERR_CONNECT_TIMEOUT: passing('No connection in time'),
  UND_ERR_HEADERS_TIMEOUT: passing('No answer in time'),
  UND_ERR_BODY_TIMEOUT: passing('The answer does not go on'),
  UND_ERR_SOCKET: CUT_OFF,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: CUT_OFF,
  UND_ERR_INFO: CUT_OFF,
  HPE_INVALID_EOF_STATE: CUT_OFF,
  HPE_CLOSED_CONNECTION: CUT_OFF,
  UND_ERR_HEADERS_OVERFLOW: { reason: 'The head of the answer is too long' },
  UND_ERR_INVALID_ARG: { reason: 'This cannot be asked for over HTTP' },
  EAI_AGAIN: passing('Temporary failure in name resolution'),
  ENOTFOUND: { reason: 'Name or service not known', code: 'UNAVAILABLE' },
  EPIPE: CUT_OFF,
  CERT_HAS_EXPIRED: { reason: 'The certificate of the server has expired' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { reason: 'The certificate of the server is signed by itself' },
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: 'The certificate of the server is for another name' },
};
const UNTRUSTED: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
]);
const PROXY_ANSWER = /^Proxy response \((\d{3})\)/;

/**
 * The error to throw for a failed exchange; an error of ours is returned as it is.
 * @throws the error itself if it is a programming mistake
 */
export function connectionError(error: unknown, concern: Concern): CasError {
  if (isCasError(error)) return error;
  const actual = firstOf(error);
  const failure = describe(actual);
  if (failure === undefined) throw error;
  const { reason, retry = 'never', code = 'IO' } = failure;
  // Parsers keep what they have read, which may be anything.
  const cause = actual instanceof Error && actual.name === 'HTTPParserError' ? undefined : error;
  return new StorageError(code, { ...concern, reason, retry, cause });
}

/** Whether the other side has ended the connection. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** A host with several addresses fails with one error for each. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function describe(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error) ?? (error.name === 'HTTPParserError' ? 'HPE_' : undefined);
  if (code === undefined) return undefined;
  if (code === 'UND_ERR_ABORTED') return describeProxyAnswer(error);
  if (Object.hasOwn(FAILURES, code)) return FAILURES[code];
  if (UNTRUSTED.has(code)) {
    return { reason: 'The certificate of the server is signed by nobody who is trusted' };
  }
  if (code.startsWith('HPE_')) return { reason: 'The answer is not HTTP' };
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return { reason: `TLS: ${code.replace(/^ERR_(?:SSL|TLS)_/, '').toLowerCase()}` };
  }
  const systemCode = systemErrorCode(error);
  if (systemCode !== undefined) return describeSystemError(error, systemCode);
  return code.startsWith('UND_ERR_') ? { reason: 'The request failed' } : undefined;
}

function describeSystemError(error: Error, code: string): Failure {
  const reason = systemErrorText(error);
  return storageErrorCodeOf(code) === 'UNAVAILABLE' ? passing(reason) : { reason };
}

function describeProxyAnswer(error: Error): Failure {
  const status = Number(PROXY_ANSWER.exec(error.message)?.[1] ?? 0);
  if (status === 0) return { reason: 'The request was given up' };
  const reason = `The proxy says ${statusText(status)}`;
  if (PASSING_STATUSES.has(status)) return passing(reason);
  return DENYING_STATUSES.has(status) ? { reason, code: 'DENIED' } : { reason };
}
