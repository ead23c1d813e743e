/**
 * Content-defined chunk ends by FastCDC: the scanner behind `--chunker=fastcdc`
 * (spec/formats/chunker-fastcdc.md).
 */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { normalisedCut } from './fastcdc-frame.ts';
import { cutLimits } from './fastcdc-limits.ts';
import { GEAR_TABLE } from './fastcdc-table.ts';
import type { ScanKernel } from './kernel/kernel.ts';
import type { ChunkScanner } from './scanner.ts';
import { leadingZeros } from './zero-run.ts';

/** Bytes that the hash depends on, the newest included; older ones are shifted out. */
const WINDOW = 32;

/** The least hash that one or more zeros give: limits below it never cut among zeros. */
const LEAST_ZERO_HASH = leastZeroHash();

function leastZeroHash(): number {
  let hash = 0;
  let least = 2 ** 32;
  for (let i = 0; i < WINDOW; i++) {
    hash = (hash << 1) + GEAR_TABLE[0];
    least = Math.min(least, hash >>> 0);
  }
  return least;
}

/**
 * The first of the bytes `from .. to` with a hash of at most `limit`, or -1. `start` is the hash of
 * the bytes before. One function for all scanners, with a table of its own and integer types spelled
 * out, for the same reason as in the scanner of the other algorithm. Two bytes a step, as the paper
 * has it, are slower here.
 */
const findUpTo = (() => {
  const gear = GEAR_TABLE.slice();

  return (bytes: Uint8Array, from: number, to: number, limit: number, start: number): number => {
    const most = limit >>> 0;
    let hash = start | 0;
    for (let i = from; i < to; i++) {
      hash = ((hash << 1) + gear[bytes[i]]) | 0;
      if (hash >>> 0 <= most) return i;
    }
    return -1;
  };
})();

function hashOf(window: Uint8Array): number {
  let hash = 0;
  for (const byte of window) hash = ((hash << 1) + GEAR_TABLE[byte]) | 0;
  return hash;
}

/** The same in the kernel, for bytes in its memory. */
function findInKernel({ buffer, findUpTo: find }: ScanKernel): typeof findUpTo {
  return (bytes, from, to, limit, start) => {
    if (bytes.buffer !== buffer) return findUpTo(bytes, from, to, limit, start);
    const { byteOffset } = bytes;
    const found = find(byteOffset + from, byteOffset + to, limit, start);
    return found < 0 ? -1 : from + found;
  };
}

/**
 * The scanner for chunk sizes that are not all equal.
 * @param kernel scans bytes in its memory
 */
export function createFastCdcScanner(chunkSizes: ChunkSizes, kernel?: ScanKernel): ChunkScanner {
  const { min, avg, max } = chunkSizes;
  const frame = { min, normal: avg, max, ...cutLimits(avg) };
  const search = kernel === undefined ? findUpTo : findInKernel(kernel);
  const zerosGoOn = frame.late < LEAST_ZERO_HASH;

  function find(bytes: Uint8Array, from: number, to: number, limit: number): number {
    const before = bytes.subarray(Math.max(min, from - WINDOW + 1), from);
    return search(bytes, from, to, limit, hashOf(before));
  }

  return {
    firstChunk(bytes) {
      const zeros = zerosGoOn ? leadingZeros(bytes, Math.min(bytes.length, max)) : 0;
      return normalisedCut(bytes, frame, find, zeros);
    },
  };
}
