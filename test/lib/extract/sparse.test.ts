import test from 'ava';
import fc from 'fast-check';
import { dataSpans, HOLE_BLOCK, isZero } from '../../../lib/extract/sparse.node.ts';

const MAX_RUNS = 8;

const RUNS = fc.array(
  fc.record({ zero: fc.boolean(), length: fc.integer({ min: 0, max: 3 * HOLE_BLOCK }) }),
  { maxLength: MAX_RUNS },
);

function bytesOfRuns(runs: readonly { readonly zero: boolean; readonly length: number }[]) {
  return Buffer.concat(runs.map(({ zero, length }) => Buffer.alloc(length, zero ? 0 : 7)));
}

test('what is left out is zero, and what is kept has no whole zero block', (t) => {
  fc.assert(
    fc.property(RUNS, fc.nat(10_000), (runs, offset) => {
      const bytes = bytesOfRuns(runs);
      const rebuilt = Buffer.alloc(bytes.length);
      for (const { start, end } of dataSpans(bytes, offset)) {
        rebuilt.set(bytes.subarray(start, end), start);
        const first = Math.ceil((offset + start) / HOLE_BLOCK) * HOLE_BLOCK - offset;
        for (let block = first; block + HOLE_BLOCK <= end; block += HOLE_BLOCK) {
          if (isZero(bytes.subarray(block, block + HOLE_BLOCK))) return false;
        }
      }
      return rebuilt.equals(bytes);
    }),
  );
  t.pass();
});

test('data without zero blocks is one span', (t) => {
  t.deepEqual(dataSpans(Buffer.alloc(100_000, 1), 123), [{ start: 0, end: 100_000 }]);
});

test('one byte anywhere makes a buffer not zero', (t) => {
  const bytes = new Uint8Array(3 * HOLE_BLOCK + 17);
  t.true(isZero(bytes));
  for (const at of [0, 1, HOLE_BLOCK - 1, HOLE_BLOCK, HOLE_BLOCK + 5, bytes.length - 1]) {
    bytes[at] = 1;
    t.false(isZero(bytes), `byte ${at}`);
    bytes[at] = 0;
  }
});
