/** Extents that are looked up once. */
import test from 'ava';
import fc from 'fast-check';
import { rememberExtents } from '../../../lib/read/remembered-extents.ts';
import { memoryExport } from '../../helpers/test-exports.ts';

test('an extent is looked up once, from wherever it is asked for', (t) => {
  const blob = memoryExport(Buffer.alloc(10_000), [[4000, 6000]]);
  const asked: number[] = [];
  const counted = {
    ...blob,
    extentAt(offset: number) {
      asked.push(offset);
      return blob.extentAt(offset);
    },
  };
  const reader = rememberExtents(counted);
  for (const offset of [100, 200, 3999, 4000, 5999, 100, 50, 120]) reader.extentAt(offset);
  t.deepEqual(asked, [100, 4000, 50]);
});

test('what is remembered is what would be found', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9999), { maxLength: 200 }), (offsets) => {
      const zeros = Array.from({ length: 49 }, (_, i) => [i * 200 + 50, i * 200 + 150] as const);
      const blob = memoryExport(Buffer.alloc(10_000), zeros);
      const reader = rememberExtents(blob);
      return offsets.every((offset) => {
        const [known, found] = [reader.extentAt(offset), blob.extentAt(offset)];
        return known.end === found.end && known.isZero === found.isZero;
      });
    }),
    { verbose: 1 },
  );
  t.pass();
});
