/** What every scanner of casync's chunking must do (spec/formats/chunker.md). */
import test from 'ava';
import fc from 'fast-check';
import { type ChunkSizes, isFixedSize } from '../../formats/chunk-sizes.ts';
import { BUZHASH_TABLE } from '../../lib/chunking/buzhash-table.ts';
import { discriminator } from '../../lib/chunking/discriminator.ts';
import type { ChunkScanner } from '../../lib/chunking/scanner.ts';
import { golden, noise, vectors } from '../helpers/golden.ts';

interface Cuts {
  readonly cases: readonly {
    readonly blob: string;
    readonly min: number;
    readonly average: number;
    readonly max: number;
    readonly ends: readonly number[];
  }[];
}

const WINDOW = 48;

function rotate(value: number, count: number): number {
  const by = count % 32;
  return by === 0 ? value : (value << by) | (value >>> (32 - by));
}

function hashOfWindow(window: Uint8Array): number {
  return window.reduce((hash, byte, i) => hash ^ rotate(BUZHASH_TABLE[byte], 47 - i), 0) >>> 0;
}

/** The cut rule word for word, hashing every window anew. */
export function naiveEnds(bytes: Uint8Array, sizes: ChunkSizes): readonly number[] {
  const divisor = discriminator(sizes);
  const ends: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    let length = isFixedSize(sizes) ? sizes.avg : Math.max(sizes.min, WINDOW);
    while (!isFixedSize(sizes) && start + length <= bytes.length) {
      const hash = hashOfWindow(bytes.subarray(start + length - WINDOW, start + length));
      if (length >= sizes.max || hash % divisor === divisor - 1) break;
      length += 1;
    }
    start = Math.min(start + length, bytes.length);
    ends.push(start);
  }
  return ends;
}

/** Ends of all chunks, with the input cut into portions of the given lengths, repeated. */
export function scannedEnds(
  scanner: ChunkScanner,
  bytes: Uint8Array,
  portions: readonly number[] = [Number.POSITIVE_INFINITY],
): readonly number[] {
  const ends: number[] = [];
  let offset = 0;
  for (let i = 0; offset < bytes.length; i++) {
    const end = Math.min(bytes.length, offset + portions[i % portions.length]);
    while (offset < end) {
      const length = scanner.scan(bytes.subarray(offset, end));
      offset = length < 0 ? end : offset + length;
      if (length >= 0) ends.push(offset);
    }
  }
  if (bytes.length > 0 && ends.at(-1) !== bytes.length) ends.push(bytes.length);
  return ends;
}

const SMALL: readonly ChunkSizes[] = [
  { min: 1, avg: 1, max: 2 },
  { min: 1, avg: 64, max: 256 },
  { min: 47, avg: 64, max: 256 },
  { min: 48, avg: 64, max: 256 },
  { min: 49, avg: 64, max: 256 },
  { min: 60, avg: 100, max: 100 },
  { min: 16, avg: 32, max: 48 },
  { min: 16, avg: 32, max: 47 },
  { min: 64, avg: 64, max: 64 },
  { min: 10, avg: 10, max: 10 },
];

const SIZES = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.nat(200), fc.nat(400))
  .map(([min, more, most]) => ({ min, avg: min + more, max: min + more + most }));

/** @param create makes the scanner to be tested, at the start of an input */
export function scannerSuite(name: string, create: (sizes: ChunkSizes) => ChunkScanner): void {
  test(`${name}: cuts where casync 2 cuts`, (t) => {
    for (const { blob, min, average, max, ends } of vectors<Cuts>('cuts').cases) {
      const sizes = { min, avg: average, max };
      t.deepEqual(scannedEnds(create(sizes), golden(`blobs/${blob}`)), ends, blob);
    }
  });

  for (const sizes of SMALL) {
    const { min, avg, max } = sizes;
    test(`${name}: ${min}:${avg}:${max} is right at every length around the boundaries`, (t) => {
      const bytes = noise(3 * Math.max(max, WINDOW), min + avg);
      const lengths = [0, 1, WINDOW, min, max, 2 * max].flatMap((at) => [at - 1, at, at + 1]);
      for (const length of lengths.filter((at) => at >= 0 && at <= bytes.length)) {
        const input = bytes.subarray(0, length);
        t.deepEqual(scannedEnds(create(sizes), input), naiveEnds(input, sizes), `${length}`);
      }
    });

    test(`${name}: ${min}:${avg}:${max} does not depend on where the input is divided`, (t) => {
      const bytes = noise(2 * Math.max(max, WINDOW) + 7, avg);
      const expected = naiveEnds(bytes, sizes);
      for (let first = 1; first < bytes.length; first++) {
        t.deepEqual(scannedEnds(create(sizes), bytes, [first, Number.POSITIVE_INFINITY]), expected);
        t.deepEqual(scannedEnds(create(sizes), bytes, [first]), expected);
      }
    });
  }

  test(`${name}: equals the cut rule on random input, sizes and portions`, (t) => {
    const portions = fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 5 });
    const property = fc.property(
      SIZES,
      fc.integer(),
      fc.nat(3000),
      fc.constantFrom(1, 2, 256),
      portions,
      (sizes, seed, length, values, cuts) => {
        const bytes = noise(length, seed).map((byte) => byte % values);
        t.deepEqual(scannedEnds(create(sizes), bytes, cuts), naiveEnds(bytes, sizes));
      },
    );
    t.notThrows(() => fc.assert(property, { numRuns: 200 }));
  });

  test(`${name}: power-of-two and even discriminators obey the cut rule`, (t) => {
    for (const wanted of [2, 4, 64, 128, 96, 100, 255]) {
      const sizes = { min: wanted, avg: wanted, max: wanted * 3 + 60 };
      const bytes = noise(20_000, wanted);
      t.is(discriminator(sizes), wanted);
      t.deepEqual(scannedEnds(create(sizes), bytes), naiveEnds(bytes, sizes));
    }
  });

  test(`${name}: starts anew after reset`, (t) => {
    const sizes = { min: 48, avg: 64, max: 256 };
    const bytes = noise(2000, 5);
    const scanner = create(sizes);
    scanner.scan(bytes.subarray(0, 30));
    scanner.reset();
    t.deepEqual(scannedEnds(scanner, bytes), naiveEnds(bytes, sizes));
  });
}
