import test from 'ava';
import fc from 'fast-check';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { scanEnds, stitchEnds } from '../../../lib/chunking/stitch.ts';
import { noise } from '../../helpers/golden.ts';

const chunkSizes = { min: 48, avg: 64, max: 256 };
const scanner = createScanner({ chunker: 'buzhash', chunkSizes });

/** Ends of all chunks, found segment by segment, each scanned as if a chunk began with it. */
function endsBySegments(bytes: Uint8Array, length: number): readonly number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length; start += length) {
    const available = bytes.subarray(start, start + length + chunkSizes.max);
    const own = Math.min(length, available.length);
    const scanned = Uint32Array.from(scanEnds(scanner, available, 0, own));
    const first = (ends.at(-1) ?? 0) - start;
    ends.push(...stitchEnds(scanner, available, first, own, scanned).map((end) => start + end));
  }
  return ends;
}

test('segments give the cuts of the whole, whatever their length and content', (t) => {
  const property = fc.property(
    fc.nat(20_000),
    fc.integer(),
    fc.constantFrom(1, 2, 3, 256),
    fc.integer({ min: chunkSizes.max, max: 3000 }),
    (length, seed, values, segmentLength) => {
      const bytes = noise(length, seed).map((byte) => byte % values);
      const whole = scanEnds(scanner, bytes, 0, length);
      t.deepEqual(endsBySegments(bytes, segmentLength), whole);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test('a border between segments may lie anywhere', (t) => {
  const bytes = noise(2000, 3);
  const whole = scanEnds(scanner, bytes, 0, bytes.length);
  for (let length = chunkSizes.max; length < 1000; length++) {
    t.deepEqual(endsBySegments(bytes, length), whole, `${length}`);
  }
});

test('a segment in which no chunk begins has no ends', (t) => {
  const bytes = noise(500, 9);
  const scanned = Uint32Array.from(scanEnds(scanner, bytes, 0, 100));
  t.deepEqual(stitchEnds(scanner, bytes, 100, 100, scanned), []);
  t.deepEqual(stitchEnds(scanner, bytes, 130, 100, scanned), []);
});
