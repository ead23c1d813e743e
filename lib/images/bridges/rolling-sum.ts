/**
 * The weak sums of rdiff, which move on by a byte at the cost of a few operations (spec/bridges.md,
 * "Weak sums"). Used to find blocks of an old file anywhere in a new one.
 */
import type { RdiffWeakSum } from '../../../formats/rdiff-signature.ts';
import type { SumFilter } from './sum-filter.ts';

/** The sum of a window of bytes that moves over a buffer. */
export interface RollingSum {
  /** Unsigned. */
  readonly value: number;
  /** The window begins here. */
  start(bytes: Uint8Array, at: number, length: number): void;
  /**
   * Moves on, maybe not at all, to where the filter lets the sum pass, or else up to `last`.
   * @param at where the window begins @returns where it begins now
   */
  advance(bytes: Uint8Array, at: number, last: number, filter: SumFilter): number;
  /** One byte further. @param at where the window begins */
  roll(bytes: Uint8Array, at: number): void;
  /** Leaves out the first byte of the window. */
  shrink(first: number): void;
}

export function createRollingSum(name: RdiffWeakSum): RollingSum {
  return name === 'rabinkarp' ? new RabinKarp() : new RollSum();
}

/** The sum of some bytes. */
export function weakSumOf(sum: RollingSum, bytes: Uint8Array): number {
  sum.start(bytes, 0, bytes.length);
  return sum.value;
}

/** A polynomial of this number modulo 2^32. */
const BASE = 0x08104225;
/** BASE times this is 1. */
const INVERSE = 0x98f009ad;
/** What the seed of 1 adds to the byte that leaves. */
const ADJUSTMENT = BASE - 1;
const SQUARE = Math.imul(BASE, BASE);
const CUBE = Math.imul(SQUARE, BASE);
const FOURTH = Math.imul(CUBE, BASE);

class RabinKarp implements RollingSum {
  #hash = 1;
  /** BASE to the power of the length. */
  #power = 1;
  #length = 0;

  get value(): number {
    return this.#hash >>> 0;
  }

  start(bytes: Uint8Array, at: number, length: number): void {
    if (length !== this.#length) this.#power = powerOf(BASE, length);
    this.#length = length;
    let hash = 1;
    let i = at;
    // Four bytes a turn, because the hash can only be multiplied when it is known.
    for (const last = at + length - 4; i <= last; i += 4) {
      const four = Math.imul(bytes[i], CUBE) + Math.imul(bytes[i + 1], SQUARE);
      const two = Math.imul(bytes[i + 2], BASE) + bytes[i + 3];
      hash = (Math.imul(hash, FOURTH) + four + two) | 0;
    }
    for (; i < at + length; i++) hash = (Math.imul(hash, BASE) + bytes[i]) | 0;
    this.#hash = hash;
  }

  advance(bytes: Uint8Array, at: number, last: number, filter: SumFilter): number {
    const { bits, shift, factor } = filter;
    const [length, power] = [this.#length, this.#power];
    let hash = this.#hash;
    let here = at;
    while (here < last) {
      const place = Math.imul(hash, factor) >>> shift;
      if (((bits[place >>> 3] >>> (place & 7)) & 1) === 1) break;
      const left = Math.imul(power, bytes[here] + ADJUSTMENT);
      hash = (Math.imul(hash, BASE) + bytes[here + length] - left) | 0;
      here += 1;
    }
    this.#hash = hash;
    return here;
  }

  roll(bytes: Uint8Array, at: number): void {
    const left = Math.imul(this.#power, bytes[at] + ADJUSTMENT);
    this.#hash = (Math.imul(this.#hash, BASE) + bytes[at + this.#length] - left) | 0;
  }

  shrink(first: number): void {
    this.#power = Math.imul(this.#power, INVERSE);
    this.#length -= 1;
    this.#hash = (this.#hash - Math.imul(this.#power, first + ADJUSTMENT)) | 0;
  }
}

function powerOf(base: number, exponent: number): number {
  let [result, square] = [1, base];
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

/** What is added to each byte. */
const OFFSET = 31;

/** Two sums of 16 bits, like those of Adler-32 without its modulus: the one of rsync. */
class RollSum implements RollingSum {
  /** Of the bytes, and of all values that this had; only the low 16 bits count. */
  #first = 0;
  #second = 0;
  #length = 0;

  get value(): number {
    return ((this.#second << 16) | (this.#first & 0xffff)) >>> 0;
  }

  start(bytes: Uint8Array, at: number, length: number): void {
    let [first, second] = [0, 0];
    let i = at;
    for (const last = at + length - 4; i <= last; i += 4) {
      const [a, b, c, d] = [bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]];
      second = (second + 4 * first + 4 * a + 3 * b + 2 * c + d + 10 * OFFSET) | 0;
      first = (first + a + b + c + d + 4 * OFFSET) | 0;
    }
    for (; i < at + length; i++) {
      first = (first + bytes[i] + OFFSET) | 0;
      second = (second + first) | 0;
    }
    [this.#first, this.#second, this.#length] = [first, second, length];
  }

  advance(bytes: Uint8Array, at: number, last: number, filter: SumFilter): number {
    const { bits, shift, factor } = filter;
    const length = this.#length;
    let [first, second] = [this.#first, this.#second];
    let here = at;
    while (here < last) {
      const place = Math.imul((second << 16) | (first & 0xffff), factor) >>> shift;
      if (((bits[place >>> 3] >>> (place & 7)) & 1) === 1) break;
      const leaving = bytes[here];
      first = (first + bytes[here + length] - leaving) | 0;
      second = (second + first - Math.imul(length, leaving + OFFSET)) | 0;
      here += 1;
    }
    [this.#first, this.#second] = [first, second];
    return here;
  }

  roll(bytes: Uint8Array, at: number): void {
    const leaving = bytes[at];
    this.#first = (this.#first + bytes[at + this.#length] - leaving) | 0;
    this.#second = (this.#second + this.#first - Math.imul(this.#length, leaving + OFFSET)) | 0;
  }

  shrink(first: number): void {
    this.#first = (this.#first - first - OFFSET) | 0;
    this.#second = (this.#second - Math.imul(this.#length, first + OFFSET)) | 0;
    this.#length -= 1;
  }
}
