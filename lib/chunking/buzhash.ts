/**
 * Content-defined chunk ends: casync's buzhash, the reference scanner
 * (spec/formats/chunker.md, "Rolling hash", "Discriminator", "Cut rule").
 */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { BUZHASH_TABLE } from './buzhash-table.ts';
import { type CutTest, createCutTest } from './cut-test.ts';
import { discriminator } from './discriminator.ts';
import type { ChunkScanner } from './scanner.ts';
import { leadingZeros } from './zero-run.ts';

/** Bytes that the rolling hash looks at. */
export const BUZHASH_WINDOW = 48;

/** Hash of a window of zeros. */
const ZERO_HASH = hashWindow(new Uint8Array(BUZHASH_WINDOW));

/** Substitution values of leaving bytes: rotated as often as the byte was carried along. */
export function leavingTable(): Int32Array {
  return BUZHASH_TABLE.map((value) => rotateLeft(value, BUZHASH_WINDOW % 32));
}

function rotateLeft(value: number, count: number): number {
  return (value << count) | (value >>> (32 - count));
}

function hashWindow(window: Uint8Array): number {
  let hash = 0;
  for (const byte of window) hash = rotateLeft(hash, 1) ^ BUZHASH_TABLE[byte];
  return hash;
}

function cuts(hash: number, divisor: number): boolean {
  return (hash >>> 0) % divisor === divisor - 1;
}

/**
 * Rolls on to the next match in `from .. to`, where `hash` is the one of the window before `from`.
 * One function for all scanners, with tables of its own and integer types spelled out: only so does
 * V8 compile it without bounds checks on the tables, also in the bundled program (twice the speed).
 * @returns offset behind the matching byte, or `to`
 */
const roll = (() => {
  const entering = BUZHASH_TABLE.slice();
  const leaving = leavingTable();

  return (test: CutTest, bytes: Uint8Array, from: number, to: number, start: number): number => {
    const multiplier = test.multiplier | 0;
    const limit = test.limit >>> 0;
    const divisor = test.divisor >>> 0;
    let hash = start | 0;
    for (let i = from; i < to; i++) {
      const change = leaving[bytes[i - BUZHASH_WINDOW]] ^ entering[bytes[i]];
      hash = ((hash << 1) | (hash >>> 31)) ^ change;
      if (Math.imul((hash + 1) | 0, multiplier) >>> 0 > limit) continue;
      if ((hash >>> 0) % divisor === divisor - 1) return i + 1;
    }
    return to;
  };
})();

/** The scanner for chunk sizes that are not all equal. */
export function createBuzhashScanner(chunkSizes: ChunkSizes): ChunkScanner {
  const { max } = chunkSizes;
  const test = createCutTest(discriminator(chunkSizes));
  const zerosCut = cuts(ZERO_HASH, test.divisor);
  /** Length at which the hash is asked first. */
  const first = Math.max(chunkSizes.min, BUZHASH_WINDOW);

  return {
    firstChunk(bytes) {
      if (bytes.length < first) return bytes.length;
      if (first >= max) return first;
      const end = Math.min(bytes.length, max);
      const zeros = zerosCut ? 0 : leadingZeros(bytes, end);
      if (zeros >= first) return roll(test, bytes, zeros, end, ZERO_HASH);
      const hash = hashWindow(bytes.subarray(first - BUZHASH_WINDOW, first));
      return cuts(hash, test.divisor) ? first : roll(test, bytes, first, end, hash);
    },
  };
}
