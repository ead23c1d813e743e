import test from 'ava';
import fc from 'fast-check';
import { equalBytes } from '../../formats/bytes.ts';
import { PackWindow } from '../../store/pack-window.ts';
import { noise } from '../helpers/golden.ts';

const FILE = noise(700_000);
const END = 650_000;

interface Reads {
  readonly window: PackWindow;
  readonly lengths: number[];
}

function windowOf(): Reads {
  const lengths: number[] = [];
  const window = new PackWindow(END, (bytes, offset) => {
    lengths.push(bytes.length);
    bytes.set(FILE.subarray(offset, offset + bytes.length));
  });
  return { window, lengths };
}

test('whatever is read in whatever order has the bytes of the file, and nothing behind its end is read', (t) => {
  const place = fc.record({
    offset: fc.integer({ min: 0, max: END - 1 }),
    lengths: fc.array(fc.integer({ min: 1, max: 90_000 }), { maxLength: 20 }),
    rests: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(place, { maxLength: 8 }), (places) => {
      const { window } = windowOf();
      for (const { offset, lengths, rests } of places) {
        let at = offset;
        for (const length of lengths) {
          const into = new Uint8Array(Math.min(length, END - at));
          window.read(into, at);
          t.true(equalBytes(into, FILE.subarray(at, at + into.length)));
          at += into.length;
        }
        if (rests) window.drop();
      }
    }),
    { numRuns: 50 },
  );
});

test('neighbours come with few reads, others with one each and no more than was asked for', (t) => {
  const inOrder = windowOf();
  for (let at = 0; at < 512 * 1024; at += 4096) inOrder.window.read(new Uint8Array(4096), at);
  t.true(inOrder.lengths.length <= 6, String(inOrder.lengths));
  const scattered = windowOf();
  for (let at = 0; at < 512 * 1024; at += 8192) scattered.window.read(new Uint8Array(4096), at);
  t.true(scattered.lengths.every((length) => length === 4096));
});
