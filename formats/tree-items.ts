/**
 * Items of messages about trees: numbers, byte strings, one behind the other. Used by both sides of a
 * tree session. Implements spec/formats/tree-session.md, "Notation".
 */
import { readSize, readU32, readU64, writeU32, writeU64 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Items of a message, one behind the other. */
export class ItemWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** A number from 0 to 2^53-1, seven bits a byte, the lowest first. */
  count(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    writeU32(this.#bytes, this.#length, value);
    this.#length += 4;
    return this;
  }

  u64(value: bigint | number): this {
    this.#reserve(8);
    writeU64(this.#bytes, this.#length, value);
    this.#length += 8;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Bytes behind their number. */
  text(bytes: Uint8Array): this {
    return this.count(bytes.length).raw(bytes);
  }

  /** A copy of everything so far; the writer starts afresh. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Reads items of a message. All methods throw FormatError where there is no such item. */
export class ItemReader {
  readonly #name: string;
  readonly #bytes: Uint8Array;
  #offset: number;

  /** @param name of the message, for errors */
  constructor(name: string, bytes: Uint8Array, offset = 0) {
    this.#name = name;
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#advance(1)];
  }

  count(most: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.#offset;
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > most) throw this.wrong(`at most ${most}`, start);
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw this.wrong('a number in its shortest form', start);
        return value;
      }
    }
  }

  u32(): number {
    return readU32(this.#bytes, this.#advance(4));
  }

  u64(): bigint {
    return readU64(this.#bytes, this.#advance(8));
  }

  size(most: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.#offset;
    const value = readSize(this.#bytes, this.#advance(8));
    if (value > most) throw this.wrong(`at most ${most}`, start);
    return value;
  }

  /** A view. */
  raw(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(most: number): Uint8Array {
    return this.raw(this.count(most));
  }

  wrong(expectation: string, offset = this.#offset): FormatError {
    return new FormatError('tree session', this.#name, offset, `expected ${expectation}`);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw this.wrong(`${length} bytes more`, start);
    this.#offset = start + length;
    return start;
  }
}
