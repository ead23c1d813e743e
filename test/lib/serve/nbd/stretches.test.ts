/** Which parts of a range NBD clients are told to be zeros. */
import test from 'ava';
import fc from 'fast-check';
import { stretchesOf } from '../../../../lib/serve/nbd/stretches.ts';
import { memoryExport } from '../../../helpers/test-exports.ts';

const ALL = { shortestZero: 512, maxCount: 1000 };

function told(
  zeros: readonly (readonly [number, number])[],
  range: readonly [number, number],
  options = ALL,
): string {
  const blob = memoryExport(Buffer.alloc(20_000), zeros);
  const stretches = stretchesOf(blob, { offset: range[0], length: range[1] }, options);
  return stretches.map(({ length, isZero }) => `${isZero ? 'zero' : 'data'} ${length}`).join(', ');
}

test('zeros begin and end with sectors', (t) => {
  t.is(told([[1000, 5000]], [0, 20_000]), 'data 1024, zero 3584, data 15392');
  t.is(told([[1024, 4096]], [0, 20_000]), 'data 1024, zero 3072, data 15904');
});

test('at the ends of the range they may be cut anywhere', (t) => {
  t.is(told([[1000, 5000]], [1001, 1000]), 'zero 1000');
  t.is(told([[0, 20_000]], [3, 19_997]), 'zero 19997');
});

test('neighbours of one kind are one', (t) => {
  const zeros = [
    [512, 1024],
    [1024, 2048],
  ] as const;
  t.is(told(zeros, [0, 4096]), 'data 512, zero 1536, data 2048');
});

test('zeros shorter than asked for are data', (t) => {
  t.is(told([[1000, 1500]], [0, 2000]), 'data 2000');
  t.is(told([[512, 1024]], [0, 2000], { ...ALL, shortestZero: 513 }), 'data 2000');
});

test('no more are told than asked for', (t) => {
  t.is(told([[512, 1024]], [0, 2000], { ...ALL, maxCount: 1 }), 'data 512');
  t.is(told([[512, 1024]], [512, 1488], { ...ALL, maxCount: 1 }), 'zero 512');
});

test('the stretches cover the range, and only zeros are called so', (t) => {
  const points = fc.uniqueArray(fc.nat(20_000), { maxLength: 12 });
  fc.assert(
    fc.property(points, fc.nat(19_999), fc.nat(20_000), (unsorted, offset, wanted) => {
      const sorted = [...unsorted].sort((a, b) => a - b);
      const zeros = sorted.flatMap((start, i) =>
        i % 2 === 0 && i + 1 < sorted.length ? [[start, sorted[i + 1]] as const] : [],
      );
      const length = Math.max(1, Math.min(wanted, 20_000 - offset));
      const blob = memoryExport(Buffer.alloc(20_000), zeros);
      let at = offset;
      for (const stretch of stretchesOf(blob, { offset, length }, ALL)) {
        if (stretch.length === 0) return false;
        const end = at + stretch.length;
        if (stretch.isZero && !zeros.some(([from, to]) => from <= at && end <= to)) return false;
        at = end;
      }
      return at === offset + length;
    }),
    { verbose: 1 },
  );
  t.pass();
});
