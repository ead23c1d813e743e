/**
 * The cut rule of spec/formats/chunker-fastcdc.md word for word, in 64-bit arithmetic and without any
 * code of the scanner: what the scanner is compared with.
 */
import { createHash } from 'node:crypto';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';

const WORD = 2n ** 64n;
const LOW_HALF = 2n ** 32n;

/** The published values, derived as the specification says. */
export const GEAR: readonly bigint[] = Array.from({ length: 256 }, (_, byte) =>
  createHash('md5').update(Buffer.alloc(64, byte)).digest().readBigUInt64BE(),
);

export function gearHash(bytes: Iterable<number>): bigint {
  let hash = 0n;
  for (const byte of bytes) hash = (2n * hash + GEAR[byte]) % WORD;
  return hash;
}

/** Length of the first chunk of `bytes`. */
export function ruleLength(bytes: Uint8Array, { min, avg, max }: ChunkSizes): number {
  const early = 2n ** 30n / BigInt(avg);
  const late = 2n ** 34n / BigInt(avg);
  const end = Math.min(bytes.length, max);
  let hash = 0n;
  for (let length = min; length < end; length++) {
    hash = (2n * hash + GEAR[bytes[length]]) % WORD;
    if (hash % LOW_HALF < (length < avg ? early : late)) return length;
  }
  return end;
}

/** Ends of all chunks by any rule for the first one. */
export function endsBy(first: (bytes: Uint8Array) => number, bytes: Uint8Array): readonly number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    start += first(bytes.subarray(start));
    ends.push(start);
  }
  return ends;
}
