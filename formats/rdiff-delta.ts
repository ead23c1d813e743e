/**
 * Deltas of rdiff (librsync): commands that make a new file of an old one, one behind the other.
 * Implements spec/bridges.md, "rdiff deltas".
 */
import {
  readSizeBe,
  readU16Be,
  readU32Be,
  writeSizeBe,
  writeU16Be,
  writeU32Be,
} from './big-endian.ts';
import { FormatError } from './errors.ts';
import { PushCursor } from './push-cursor.ts';

const FORMAT = 'rdiff';
const RECORD = 'delta';
const MAGIC = 0x72730236;
const MAGIC_LENGTH = 4;
const END = 0x00;
/** Up to this length the command is the length. */
const SHORT_LITERAL = 0x40;
const LITERAL = 0x41;
const COPY = 0x45;
const BEHIND_COPY = 0x55;
/** Bytes of a parameter; two bits of a command say which. */
const WIDTHS = [1, 2, 4, 8] as const;

export function encodeRdiffDeltaHead(): Uint8Array {
  const head = new Uint8Array(MAGIC_LENGTH);
  writeU32Be(head, 0, MAGIC);
  return head;
}

export function encodeRdiffEnd(): Uint8Array {
  return Uint8Array.of(END);
}

/** What stands before new bytes. @param length at least one */
export function encodeRdiffLiteral(length: number): Uint8Array {
  if (length <= SHORT_LITERAL) return Uint8Array.of(length);
  const width = widthOf(length);
  const head = new Uint8Array(1 + WIDTHS[width]);
  head[0] = LITERAL + width;
  writeParameter(head, 1, length, width);
  return head;
}

/** Bytes of the old file. @param length at least one */
export function encodeRdiffCopy(start: number, length: number): Uint8Array {
  const [first, second] = [widthOf(start), widthOf(length)];
  const command = new Uint8Array(1 + WIDTHS[first] + WIDTHS[second]);
  command[0] = COPY + 4 * first + second;
  writeParameter(command, 1, start, first);
  writeParameter(command, 1 + WIDTHS[first], length, second);
  return command;
}

type Width = 0 | 1 | 2 | 3;

function widthOf(value: number): Width {
  if (value < 0x100) return 0;
  if (value < 0x1_0000) return 1;
  return value < 0x1_0000_0000 ? 2 : 3;
}

function writeParameter(bytes: Uint8Array, offset: number, value: number, width: Width): void {
  if (width === 0) bytes[offset] = value;
  else if (width === 1) writeU16Be(bytes, offset, value);
  else if (width === 2) writeU32Be(bytes, offset, value);
  else writeSizeBe(bytes, offset, value);
}

function readParameter(bytes: Uint8Array, offset: number, width: Width): number {
  if (width === 0) return bytes[offset];
  if (width === 1) return readU16Be(bytes, offset);
  return width === 2 ? readU32Be(bytes, offset) : readSizeBe(bytes, offset);
}

/** Whether these are the first bytes of a delta. */
export function isRdiffDelta(head: Uint8Array): boolean {
  return head.length >= MAGIC_LENGTH && readU32Be(head, 0) === MAGIC;
}

export type RdiffDeltaEvent =
  /** New bytes; a view of the portion. */
  | { readonly type: 'literal'; readonly bytes: Uint8Array }
  | { readonly type: 'copy'; readonly start: number; readonly length: number };

/** Takes a delta in portions. */
export class RdiffDeltaParser {
  readonly #cursor = new PushCursor();
  #literalLeft = 0;
  #isBegun = false;
  #isAtEnd = false;

  /** The next portion. The one before must be used up. */
  feed(bytes: Uint8Array): void {
    this.#cursor.feed(bytes);
  }

  /** The next command; undefined if the portion is used up. @throws FormatError */
  next(): RdiffDeltaEvent | undefined {
    if (this.#literalLeft > 0) return this.#literal();
    if (this.#isAtEnd) {
      if (this.#cursor.has(1)) throw this.#wrong('nothing expected behind the end');
      return undefined;
    }
    if (!this.#isBegun && !this.#begin()) return undefined;
    if (!this.#cursor.has(1)) return undefined;
    const command = this.#cursor.bytes[this.#cursor.start] ?? END;
    if (command === END) {
      this.#cursor.advance(1);
      this.#isAtEnd = true;
      return this.next();
    }
    if (command < COPY) return this.#startLiteral(command);
    if (command < BEHIND_COPY) return this.#copy(command - COPY);
    throw this.#wrong('a known command expected');
  }

  /** The delta has been fed completely. @throws FormatError if it ends early */
  finish(): void {
    if (!this.#isAtEnd) throw this.#wrong('the delta ends early');
  }

  #begin(): boolean {
    if (!this.#cursor.has(MAGIC_LENGTH)) return false;
    const { bytes, start } = this.#cursor;
    if (readU32Be(bytes, start) !== MAGIC) throw this.#wrong('the magic of a delta expected');
    this.#cursor.advance(MAGIC_LENGTH);
    this.#isBegun = true;
    return true;
  }

  #startLiteral(command: number): RdiffDeltaEvent | undefined {
    if (command <= SHORT_LITERAL) {
      this.#cursor.advance(1);
      this.#literalLeft = command;
      return this.#literal();
    }
    const width = (command - LITERAL) as Width;
    const headLength = 1 + WIDTHS[width];
    if (!this.#cursor.has(headLength)) return undefined;
    const length = readParameter(this.#cursor.bytes, this.#cursor.start + 1, width);
    if (length === 0 || !Number.isFinite(length)) throw this.#wrong('an impossible length');
    this.#cursor.advance(headLength);
    this.#literalLeft = length;
    return this.#literal();
  }

  #literal(): RdiffDeltaEvent | undefined {
    const bytes = this.#cursor.take(this.#literalLeft);
    this.#literalLeft -= bytes.length;
    return bytes.length === 0 ? undefined : { type: 'literal', bytes };
  }

  #copy(widths: number): RdiffDeltaEvent | undefined {
    const [first, second] = [(widths >> 2) as Width, (widths & 3) as Width];
    const commandLength = 1 + WIDTHS[first] + WIDTHS[second];
    if (!this.#cursor.has(commandLength)) return undefined;
    const { bytes, start: at } = this.#cursor;
    const start = readParameter(bytes, at + 1, first);
    const length = readParameter(bytes, at + 1 + WIDTHS[first], second);
    if (length === 0 || !Number.isSafeInteger(start + length)) {
      throw this.#wrong('an impossible range');
    }
    this.#cursor.advance(commandLength);
    return { type: 'copy', start, length };
  }

  #wrong(expectation: string): FormatError {
    return new FormatError(FORMAT, RECORD, this.#cursor.offset, expectation);
  }
}
