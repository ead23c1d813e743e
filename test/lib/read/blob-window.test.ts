// Looking at small parts of a blob (lib/read/blob-window.ts).
import test from 'ava';
import fc from 'fast-check';
import { PipelineError } from '../../../lib/errors.ts';
import type { BlobReader } from '../../../lib/read/blob-reader.ts';
import { BlobWindow } from '../../../lib/read/blob-window.ts';
import { openBytesBlob } from '../../../lib/read/bytes-blob.ts';
import { noise } from '../../helpers/golden.ts';

const CONTENT = noise(100_000);

/** Units of this length, of which those at `lost` cannot be read. */
function blobOfUnits(unitLength: number, lost: ReadonlySet<number>): BlobReader {
  const blob = openBytesBlob(CONTENT, 'test');
  return {
    ...blob,
    unitAt: (offset) => ({ offset: offset - (offset % unitLength), length: unitLength }),
    read(range) {
      const last = Math.min(range.offset + range.length, CONTENT.length) - 1;
      for (let at = range.offset; at <= last + unitLength; at += unitLength) {
        if (!lost.has(Math.floor(Math.min(at, last) / unitLength))) continue;
        throw new PipelineError('IO', { subject: 'test', reason: 'the unit is lost' });
      }
      return blob.read(range);
    },
  };
}

test('what lies beside bytes that cannot be read can be read', (t) => {
  const places = fc.record({ offset: fc.nat(CONTENT.length + 10), atLeast: fc.nat(30_000) });
  const law = fc.property(
    fc.integer({ min: 100, max: 50_000 }),
    fc.array(fc.nat(20)),
    fc.array(places, { minLength: 1 }),
    (unitLength, lostUnits, all) => {
      const lost = new Set(lostUnits);
      const window = new BlobWindow(blobOfUnits(unitLength, lost));
      for (const { offset, atLeast } of all) {
        const end = Math.min(offset + Math.max(1, atLeast), CONTENT.length);
        const units = [...lost].filter(
          (i) => i * unitLength < end && (i + 1) * unitLength > offset,
        );
        if (units.length > 0 && offset < end) {
          t.throws(() => window.at(offset, Math.max(1, atLeast)), { message: /the unit is lost/ });
          continue;
        }
        const bytes = window.at(offset, atLeast);
        if (bytes instanceof Promise) return t.fail();
        t.true(bytes.length >= end - offset || atLeast === 0);
        t.deepEqual(
          Buffer.from(bytes),
          Buffer.from(CONTENT.subarray(offset, offset + bytes.length)),
        );
      }
    },
  );
  const { seed, failed } = fc.check(law);
  t.log(`seed ${seed}`);
  t.false(failed);
});

test('records that lie side by side are read once', (t) => {
  const blob = openBytesBlob(CONTENT, 'test');
  let reads = 0;
  const counted: BlobReader = {
    ...blob,
    read(range) {
      reads += 1;
      return blob.read(range);
    },
  };
  const window = new BlobWindow(counted);
  for (let offset = 0; offset < 30_000; offset += 50) void window.at(offset, 40);
  t.is(reads, 2);
});
