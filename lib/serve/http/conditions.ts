/** Conditional requests and ranges, as RFC 9110 (13, 14) has them for one representation. */
import type { ObjectRange } from '../../../store/backend.ts';

/** The value of a request's header, undefined if it has none. */
export type HeaderReader = (name: string) => string | undefined;

/** What can be compared of a thing that is served. */
export interface Validators {
  /** With its quotes; a strong one. */
  readonly etag: string;
  /** Undefined where only the tag counts. */
  readonly modified?: Date;
}

const SINGLE_RANGE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i;
const SECOND_MS = 1000;

/** Whether the requester has it already: the answer is 304. */
export function isNotModified(header: HeaderReader, { etag, modified }: Validators): boolean {
  const tags = header('if-none-match');
  if (tags !== undefined) return matches(tags, etag);
  const since = header('if-modified-since');
  if (since === undefined || modified === undefined) return false;
  const sinceMs = Date.parse(since);
  return !Number.isNaN(sinceMs) && wholeSeconds(modified) <= sinceMs;
}

/** Whether `If-Match` asks for another one than there is: the answer is 412. */
export function isOtherVersion(header: HeaderReader, etag: string | undefined): boolean {
  const tags = header('if-match');
  if (tags === undefined) return false;
  return etag === undefined || !matches(tags, etag);
}

function matches(list: string, etag: string): boolean {
  if (list.trim() === '*') return true;
  return list.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/**
 * The part that is asked for. Undefined stands for all of it: no range, several, one that is not
 * understood, or one of a version that is gone.
 * @returns `unsatisfiable` if it begins behind the end
 */
export function wantedRange(
  header: HeaderReader,
  size: number,
  validators: Validators,
): ObjectRange | 'unsatisfiable' | undefined {
  const match = SINGLE_RANGE.exec(header('range') ?? '');
  if (match === null || !isStillTheOne(header('if-range'), validators)) return undefined;
  const [, first, last, fromEnd] = match;
  if (first === undefined) {
    const length = Math.min(Number(fromEnd), size);
    return length === 0 ? 'unsatisfiable' : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === '' || last === undefined ? Number.POSITIVE_INFINITY : Number(last);
  // Not a range at all, by the grammar.
  if (end < offset) return undefined;
  if (offset >= size) return 'unsatisfiable';
  return { offset, length: Math.min(end, size - 1) - offset + 1 };
}

function isStillTheOne(condition: string | undefined, { etag, modified }: Validators): boolean {
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === etag;
  return modified !== undefined && Date.parse(condition) === wholeSeconds(modified);
}

function wholeSeconds(time: Date): number {
  return Math.floor(time.getTime() / SECOND_MS) * SECOND_MS;
}
