/** The cursor under parsers that are fed. */
import test from 'ava';
import { PushCursor } from '../../formats/push-cursor.ts';

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);

/** The next bytes, as the cursor shows them. */
function look(cursor: PushCursor, size: number): Uint8Array | undefined {
  if (!cursor.has(size)) return undefined;
  return cursor.bytes.slice(cursor.start, cursor.start + size);
}

test('pieces come out whole, however they arrive', (t) => {
  for (const portion of [1, 3, 16, 600, 1000]) {
    const cursor = new PushCursor();
    const sizes = [16, 1, 600, 383];
    const seen: number[] = [];
    for (let start = 0; start < BYTES.length; start += portion) {
      cursor.feed(BYTES.slice(start, start + portion));
      for (;;) {
        const [size] = sizes;
        const piece = size === undefined ? undefined : look(cursor, size);
        if (size === undefined || piece === undefined) break;
        seen.push(...piece);
        cursor.advance(size);
        sizes.shift();
      }
    }
    t.deepEqual(Uint8Array.from(seen), BYTES, `portions of ${portion}`);
  }
});

test('a piece that arrived whole is not copied', (t) => {
  const cursor = new PushCursor();
  cursor.feed(BYTES);
  t.true(cursor.has(1000));
  t.is(cursor.bytes, BYTES);
});

test('a look at a few bytes does not keep from looking at more', (t) => {
  const cursor = new PushCursor();
  cursor.feed(BYTES.subarray(0, 20));
  t.true(cursor.has(16));
  t.false(cursor.has(40));
  t.is(cursor.nextOffset, 20);
  t.is(cursor.offset, 0);
  cursor.feed(BYTES.subarray(20, 100));
  t.true(cursor.has(16));
  t.deepEqual(look(cursor, 40), BYTES.slice(0, 40));
  cursor.advance(40);
  t.deepEqual(cursor.take(100), BYTES.slice(40, 100));
});

test('a jump may go behind what has arrived', (t) => {
  const cursor = new PushCursor();
  cursor.feed(BYTES.subarray(0, 100));
  cursor.jump(500);
  t.is(cursor.nextOffset, 500);
  t.false(cursor.has(1));
  cursor.feed(BYTES.subarray(500));
  t.deepEqual(look(cursor, 4), BYTES.slice(500, 504));
});
