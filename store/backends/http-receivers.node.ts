/**
 * What becomes of answers: bytes in memory, or only their head. They refuse whatever is not exactly the
 * whole of what was asked for.
 */
import type { ObjectRange } from '../backend.ts';
import { StorageError } from '../errors.ts';
import { BodyCollector } from './http-body.ts';
import type { Flow, Receiver } from './http-exchange.node.ts';
import { type Concern, statusError } from './http-failure.node.ts';
import { contentLength, contentRange, type HttpHeaders, header } from './http-headers.ts';

const OK = 200;
const PARTIAL_CONTENT = 206;
const RANGE_NOT_SATISFIABLE = 416;

/** @throws StorageError if the body is not what is stored, but some encoding of it */
export function refuseEncoded(headers: HttpHeaders, concern: Concern): void {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === '' || encoding === 'identity') return;
  const reason = 'The answer has a Content-Encoding that was not asked for';
  throw new StorageError('IO', { ...concern, reason });
}

/**
 * Length of a body. @throws StorageError if nothing would tell whether it is complete: an answer that
 * ends when the connection does
 */
export function announcedLength(headers: HttpHeaders, concern: Concern): number | undefined {
  const length = contentLength(headers);
  const coding = header(headers, 'transfer-encoding')?.toLowerCase() ?? '';
  if (length !== undefined || coding.split(',').at(-1)?.trim() === 'chunked') return length;
  throw new StorageError('IO', { ...concern, reason: 'The answer does not say how long it is' });
}

export interface ObjectWish {
  readonly range: ObjectRange | undefined;
  readonly into: Uint8Array | undefined;
  readonly maxSize: number;
}

/** Receives an object or a range of it, also from servers that do not know ranges. */
export class ObjectReceiver implements Receiver {
  readonly #wish: ObjectWish;
  readonly #concern: Concern;
  #body: BodyCollector | undefined;
  /** Bytes before the range. */
  #skip = 0;
  #wanted = Number.POSITIVE_INFINITY;
  /** Bytes that must come, undefined if unknown. */
  #expected: number | undefined;
  #received = 0;

  constructor(wish: ObjectWish, concern: Concern) {
    this.#wish = wish;
    this.#concern = concern;
  }

  begin(status: number, headers: HttpHeaders, _flow: Flow): void {
    const { range } = this.#wish;
    if (status === OK) this.#beginWhole(headers, range);
    else if (status === PARTIAL_CONTENT && range !== undefined) {
      this.#expected = this.#partLength(range, headers);
      this.#open(this.#expected);
    } else if (status === RANGE_NOT_SATISFIABLE && range !== undefined) {
      if (!isBehindEnd(range, headers)) {
        throw this.#refusal('The server refuses a part that is there');
      }
      this.#wanted = 0;
      this.#open(0);
    } else throw statusError(status, headers, this.#concern);
  }

  #beginWhole(headers: HttpHeaders, range: ObjectRange | undefined): void {
    const length = this.#bodyLength(headers);
    this.#expected = length;
    if (range === undefined) {
      this.#open(length);
      return;
    }
    this.#skip = range.offset;
    this.#wanted = range.length;
    const behind = length === undefined ? range.length : length - range.offset;
    this.#open(Math.max(0, Math.min(range.length, behind)));
  }

  take(bytes: Uint8Array): boolean {
    this.#received += bytes.length;
    let part = bytes;
    if (this.#skip > 0) {
      part = bytes.subarray(this.#skip);
      this.#skip -= bytes.length - part.length;
    }
    const body = this.#opened();
    const left = this.#wanted - body.length;
    body.add(part.length > left ? part.subarray(0, left) : part);
    return body.length < this.#wanted;
  }

  finish(): void {
    const isEnough = this.#opened().length >= this.#wanted;
    if (isEnough || this.#expected === undefined || this.#received === this.#expected) return;
    const reason = `${this.#received} bytes instead of ${this.#expected}`;
    throw new StorageError('UNAVAILABLE', { ...this.#concern, reason, retry: 'later' });
  }

  /** The whole result, after `finish`. */
  result(): Uint8Array {
    return this.#opened().bytes();
  }

  #open(expected: number | undefined): void {
    const { into, maxSize } = this.#wish;
    this.#body = new BodyCollector({ into, maxSize, expected, subject: this.#concern.subject });
  }

  #opened(): BodyCollector {
    if (this.#body === undefined) throw new TypeError('no answer yet');
    return this.#body;
  }

  #bodyLength(headers: HttpHeaders): number | undefined {
    refuseEncoded(headers, this.#concern);
    return announcedLength(headers, this.#concern);
  }

  #partLength(range: ObjectRange, headers: HttpHeaders): number {
    const length = this.#bodyLength(headers);
    const given = contentRange(headers);
    const last = range.offset + range.length - 1;
    const isRight =
      given !== undefined &&
      given.first === range.offset &&
      (given.last === last || (given.last < last && given.total === given.last + 1));
    const partLength = isRight ? given.last - range.offset + 1 : 0;
    if (isRight && (length === undefined || length === partLength)) return partLength;
    throw this.#refusal('The answer is another part than was asked for');
  }

  #refusal(reason: string): StorageError {
    return new StorageError('IO', { ...this.#concern, reason });
  }
}

function isBehindEnd(range: ObjectRange, headers: HttpHeaders): boolean {
  const given = contentRange(headers);
  return given?.total === undefined || given.total <= range.offset;
}

/** More of an unwanted body is not read to save the connection, in bytes. */
const MOST_IGNORED = 64 * 1024;

/** Receives only the head of an answer, whatever its status. */
export class HeadReceiver implements Receiver {
  #ignored = 0;
  status = 0;
  headers: HttpHeaders = {};

  begin(status: number, headers: HttpHeaders, _flow: Flow): void {
    this.status = status;
    this.headers = headers;
  }

  take(bytes: Uint8Array): boolean {
    this.#ignored += bytes.length;
    return this.#ignored <= MOST_IGNORED;
  }

  finish(): void {}
}
