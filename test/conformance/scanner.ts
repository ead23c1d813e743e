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

/** Ends of all chunks of the input. */
export function scannedEnds(scanner: ChunkScanner, bytes: Uint8Array): readonly number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    start += scanner.firstChunk(bytes.subarray(start));
    ends.push(start);
  }
  return ends;
}

const SMALL: readonly ChunkSizes[] = [
  { min: 1, avg: 1, max: 48 },
  { min: 1, avg: 1, max: 49 },
  { min: 1, avg: 64, max: 256 },
  { min: 47, avg: 64, max: 256 },
  { min: 48, avg: 64, max: 256 },
  { min: 49, avg: 64, max: 256 },
  { min: 60, avg: 100, max: 100 },
  { min: 16, avg: 32, max: 48 },
  { min: 64, avg: 64, max: 64 },
  { min: 10, avg: 10, max: 10 },
];

const SIZES = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.nat(200), fc.nat(400))
  .map(([min, more, most]) => ({ min, avg: min + more, max: Math.max(48, min + more + most) }));

/** Discriminators of all kinds: odd, power of two, and both factors in each order. */
const DIVISORS = [1, 2, 3, 4, 64, 75, 96, 100, 128, 192, 255, 320, 1023, 1024, 1280];

/** Inputs of few different bytes, whose hashes repeat. */
const DULL: Readonly<Record<string, (i: number) => number>> = {
  zeros: () => 0,
  'bytes ff': () => 255,
  'a run of zeros, then a run of ones': (i) => (i < 1500 ? 0 : 1),
  'zeros with a byte here and there': (i) => (i % 701 === 700 ? i & 255 : 0),
  'two bytes in turn': (i) => i & 1,
};

/**
 * @param create makes the scanner to be tested
 * @param place where the scanner shall find an input
 */
export function scannerSuite(
  name: string,
  create: (sizes: ChunkSizes) => ChunkScanner,
  place: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes,
): void {
  const ends = (sizes: ChunkSizes, bytes: Uint8Array): readonly number[] =>
    scannedEnds(create(sizes), place(bytes));

  test(`${name}: cuts where casync 2 cuts`, (t) => {
    for (const { blob, min, average, max, ends: expected } of vectors<Cuts>('cuts').cases) {
      t.deepEqual(ends({ min, avg: average, max }, golden(`blobs/${blob}`)), expected, blob);
    }
  });

  for (const sizes of SMALL) {
    const { min, avg, max } = sizes;
    test(`${name}: ${min}:${avg}:${max} is right at every length around the boundaries`, (t) => {
      const bytes = noise(3 * Math.max(max, WINDOW), min + avg);
      const lengths = [0, 1, WINDOW, min, max, 2 * max].flatMap((at) => [at - 1, at, at + 1]);
      for (const length of lengths.filter((at) => at >= 0 && at <= bytes.length)) {
        const input = bytes.subarray(0, length);
        t.deepEqual(ends(sizes, input), naiveEnds(input, sizes), `${length}`);
      }
    });

    test(`${name}: ${min}:${avg}:${max} needs to know nothing behind the maximum`, (t) => {
      const scanner = create(sizes);
      const bytes = place(noise(3000, avg));
      for (let start = 0; start < 2000; start++) {
        const enough = bytes.subarray(start, start + Math.max(max, WINDOW));
        t.is(scanner.firstChunk(enough), scanner.firstChunk(bytes.subarray(start)));
      }
    });
  }

  test(`${name}: equals the cut rule on random input and sizes`, (t) => {
    const property = fc.property(
      SIZES,
      fc.integer(),
      fc.nat(3000),
      fc.constantFrom(1, 2, 256),
      (sizes, seed, length, values) => {
        const bytes = noise(length, seed).map((byte) => byte % values);
        t.deepEqual(ends(sizes, bytes), naiveEnds(bytes, sizes));
      },
    );
    t.notThrows(() => fc.assert(property, { numRuns: 200 }));
  });

  for (const divisor of DIVISORS) {
    test(`${name}: cuts where a hash is ${divisor - 1} modulo ${divisor}`, (t) => {
      const sizes = { min: divisor, avg: divisor, max: divisor * 3 + 60 };
      t.is(discriminator(sizes), divisor);
      for (const bytes of [noise(20_000, divisor), new Uint8Array(20_000)]) {
        t.deepEqual(ends(sizes, bytes), naiveEnds(bytes, sizes));
      }
    });
  }

  for (const [kind, byteAt] of Object.entries(DULL)) {
    test(`${name}: obeys the cut rule on ${kind}`, (t) => {
      const whole = Uint8Array.from({ length: 5000 }, (_, i) => byteAt(i));
      for (const sizes of [...SMALL, { min: 200, avg: 300, max: 1000 }]) {
        for (const bytes of [whole, whole.subarray(0, 997), whole.subarray(1)]) {
          t.deepEqual(ends(sizes, bytes), naiveEnds(bytes, sizes));
        }
      }
    });
  }
}
