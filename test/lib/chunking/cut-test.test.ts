import test from 'ava';
import fc from 'fast-check';
import { createCutTest } from '../../../lib/chunking/cut-test.ts';

const LARGEST = 128 * 1024 * 1024;

const DIVISOR = fc.oneof(
  fc.integer({ min: 1, max: LARGEST }),
  fc.nat(27).map((shift) => 2 ** shift),
  fc.tuple(fc.integer({ min: 1, max: 4096 }), fc.nat(15)).map(([odd, shift]) => odd * 2 ** shift),
);

function passes(hash: number, divisor: number): boolean {
  const { multiplier, limit } = createCutTest(divisor);
  return Math.imul((hash + 1) | 0, multiplier | 0) >>> 0 <= limit;
}

test('every hash that cuts passes the quick question', (t) => {
  const property = fc.property(
    DIVISOR,
    fc.double({ min: 0, max: 1, noNaN: true }),
    (divisor, at) => {
      const hashes = Math.floor(2 ** 32 / divisor);
      const hash = Math.max(1, Math.ceil(at * hashes)) * divisor - 1;
      t.true(passes(hash, divisor), `${hash} % ${divisor}`);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 2000 }));
});

test('few others do: about one in the square root of the divisor at most', (t) => {
  const sample = 100_000;
  for (const divisor of [49_535, 49_536, 49_152, 65_536, 225 * 256, 256 * 257]) {
    let passed = 0;
    for (let i = 0; i < sample; i++) {
      if (passes(Math.imul(i, 0x9e37_79b1) >>> 0, divisor)) passed += 1;
    }
    t.true(passed <= (1.5 * sample) / Math.sqrt(divisor), `${divisor}: ${passed}`);
  }
});
