/** What the handler says and the server sends: an HTTP answer as a value. */
import { isCasError } from '../../../formats/errors.ts';
import type { Route } from './route.ts';
import type { ServedFile } from './served-place.ts';

/** What a request was about, for counts and the log; `none` for what is not served. */
export type RequestKind = Route['kind'] | 'none';

/** A part of an opened file; who sends it closes the file. */
export interface FilePart {
  readonly file: ServedFile;
  readonly offset: number;
  readonly length: number;
}

export interface Answer {
  readonly status: number;
  readonly kind: RequestKind;
  /** Names and values in turn, with the length of the body; also of one that HEAD leaves out. */
  readonly headers: readonly string[];
  readonly body?: Uint8Array | FilePart;
  /** To be called when the body has been sent to its end. */
  readonly recycle?: () => void;
  /** Why an upload was refused, for counts. */
  readonly refusal?: string;
}

export interface AnswerText {
  readonly kind: RequestKind;
  readonly text: string;
  readonly headers?: readonly string[];
  readonly refusal?: string;
  readonly isHead?: boolean;
}

const RETRY_SECONDS = '2';
const PLAIN = ['Content-Type', 'text/plain; charset=utf-8', 'Cache-Control', 'no-store'] as const;

/** A short text for people, never kept by caches. ASCII only. */
export function textAnswer(status: number, options: AnswerText): Answer {
  const { kind, text, headers = [], refusal, isHead = false } = options;
  const length = status === 204 ? [] : ['Content-Length', String(text.length)];
  return {
    status,
    kind,
    headers: [...PLAIN, ...length, ...headers],
    ...(isHead || text === '' ? {} : { body: asciiBytes(text) }),
    ...(refusal === undefined ? {} : { refusal }),
  };
}

/** The requester learns nothing of the place; the operator does. */
export function failureAnswer(
  error: unknown,
  kind: Answer['kind'],
  onFailure?: (error: unknown) => void,
): Answer {
  if (!isCasError(error)) throw error;
  onFailure?.(error);
  if (error.retry === 'later' || error.code === 'LEASE_HELD' || error.code === 'LEASE_LOST') {
    const headers = ['Retry-After', RETRY_SECONDS];
    return textAnswer(503, { kind, text: 'Try again later.\n', headers });
  }
  return textAnswer(500, { kind, text: 'The storage failed.\n' });
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);
}
