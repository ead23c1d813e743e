/** The bytes of an answer, gathered in memory of the caller where they fit. For all HTTP reading. */
import { LimitExceeded } from '../../formats/errors.ts';

/** Not more is taken on the word of a server, in bytes. */
const MOST_BELIEVED = 32 * 1024 * 1024;
const FIRST_ROOM = 64 * 1024;

export interface BodyOptions {
  readonly into: Uint8Array | undefined;
  /** Bytes that are announced, undefined if unknown. */
  readonly expected: number | undefined;
  /** Bytes. */
  readonly maxSize: number;
  /** What is read, for messages. */
  readonly subject: string;
}

export class BodyCollector {
  readonly #maxSize: number;
  readonly #subject: string;
  #room: Uint8Array;
  #length = 0;

  /** @throws LimitExceeded if more is announced than may be */
  constructor({ into, expected, maxSize, subject }: BodyOptions) {
    this.#maxSize = maxSize;
    this.#subject = subject;
    if (expected !== undefined && expected > maxSize) throw this.#tooMuch();
    const isRoomy = into !== undefined && into.length >= (expected ?? 0);
    this.#room = isRoomy ? into : new Uint8Array(Math.min(expected ?? FIRST_ROOM, MOST_BELIEVED));
  }

  get length(): number {
    return this.#length;
  }

  /** @throws LimitExceeded */
  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#maxSize) throw this.#tooMuch();
    if (length > this.#room.length) this.#grow(length);
    this.#room.set(bytes, this.#length);
    this.#length = length;
  }

  bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }

  #grow(length: number): void {
    const room = new Uint8Array(Math.max(length, this.#room.length * 2));
    room.set(this.bytes());
    this.#room = room;
  }

  #tooMuch(): LimitExceeded {
    const reason = `more than ${this.#maxSize} bytes`;
    return new LimitExceeded({ subject: this.#subject, step: 'get', reason });
  }
}
