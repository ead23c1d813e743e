/** Tables of block digests (spec/images.md, "Terms"). */
import test from 'ava';
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { BlockTable } from '../../formats/block-table.ts';

const digests = (...bytes: readonly number[]): Uint8Array =>
  Uint8Array.from(bytes.flatMap((byte) => new Array<number>(DIGEST_LENGTH).fill(byte)));

test('the last block is as long as what is left', (t) => {
  const table = new BlockTable(10, 25, digests(1, 2, 3));
  t.is(table.count, 3);
  t.deepEqual(
    [0, 1, 2].map((i) => table.sizeOf(i)),
    [10, 10, 5],
  );
});

test('blocks nobody has told anything of are unknown', (t) => {
  const table = new BlockTable(10, 25);
  t.deepEqual(
    [0, 1, 2].map((i) => table.isUnknown(i)),
    [true, true, true],
  );
  table.set(1, digests(7));
  t.false(table.isUnknown(1));
  t.true(table.has(1, digests(0, 7), DIGEST_LENGTH));
  t.false(table.has(1, digests(0, 7), 0));
  table.forget({ first: 1, count: 5 });
  t.true(table.isUnknown(1));
});

test('a block behind the end is not there, whatever its digest', (t) => {
  t.false(new BlockTable(10, 20).has(2, digests(0), 0));
});

test('a longer image keeps its whole blocks; the one that was shorter is unknown', (t) => {
  const table = new BlockTable(10, 25, digests(1, 2, 3));
  table.resize(40);
  t.is(table.count, 4);
  t.deepEqual(
    [0, 1, 2, 3].map((i) => table.isUnknown(i)),
    [false, false, true, true],
  );
  t.deepEqual(table.digests(0, 2), digests(1, 2));
});

test('a shorter image loses what lies behind, and the block that is cut', (t) => {
  const table = new BlockTable(10, 40, digests(1, 2, 3, 4));
  table.resize(15);
  t.is(table.count, 2);
  t.deepEqual(
    [0, 1].map((i) => table.isUnknown(i)),
    [false, true],
  );
  table.resize(40);
  t.deepEqual(
    [0, 1, 2, 3].map((i) => table.isUnknown(i)),
    [false, true, true, true],
  );
});

test('a table that grows by little many times keeps what it has', (t) => {
  const table = new BlockTable(1, 0);
  for (let i = 0; i < 1000; i++) {
    table.resize(i + 1);
    table.set(i, digests((i % 255) + 1));
  }
  t.is(table.digests().length, 1000 * DIGEST_LENGTH);
  t.true(table.has(999, digests((999 % 255) + 1), 0));
});
