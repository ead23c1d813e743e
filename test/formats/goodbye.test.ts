import test from 'ava';
import fc from 'fast-check';
import { asciiBytes, readSize, readU32, readU64 } from '../../formats/bytes.ts';
import { encodeGoodbye, hashName } from '../../formats/goodbye.ts';
import { GoodbyeColumns } from '../../formats/goodbye-columns.ts';
import type { Hash64 } from '../../formats/siphash.ts';
import { golden, vectors } from '../helpers/golden.ts';

const ITEM_SIZE = 24;

interface GoodbyeItem {
  readonly filenameOffset: number;
  readonly size: number;
  readonly hash: Hash64;
}

function columnsOf(items: readonly GoodbyeItem[]): GoodbyeColumns {
  const columns = new GoodbyeColumns();
  for (const { filenameOffset, size, hash } of items) {
    columns.add(filenameOffset, hash);
    columns.endLast(filenameOffset + size);
  }
  return columns;
}

/** An item that begins at byte `position` and sorts by `rank`. */
function item(position: number, rank: number): GoodbyeItem {
  return { filenameOffset: position, size: 1, hash: { high: rank, low: 0 } };
}

/** The archive offsets of the items in the order of the table. */
function offsetsOf(record: Uint8Array, goodbyeOffset: number): number[] {
  const offsets: number[] = [];
  for (let at = 16; at < record.length - ITEM_SIZE; at += ITEM_SIZE) {
    offsets.push(goodbyeOffset - readSize(record, at));
  }
  return offsets;
}

test('items stand in the order of the complete search tree', (t) => {
  const { cases } = vectors<{
    readonly cases: readonly { readonly count: number; readonly order: readonly number[] }[];
  }>('goodbye-order');
  for (const { count, order } of cases) {
    const items = Array.from({ length: count }, (_, rank) => item(rank, rank));
    t.deepEqual(offsetsOf(encodeGoodbye(columnsOf(items), count, 0), count), order, `${count}`);
  }
});

test('a binary search from the root finds every item', (t) => {
  const names = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 12 }), {
    selector: (name) => name.join(),
    maxLength: 200,
  });
  const find = (record: Uint8Array, wanted: bigint): number => {
    const count = (record.length - 40) / ITEM_SIZE;
    let place = 0;
    while (place < count) {
      const hash = readU64(record, 16 + ITEM_SIZE * place + 16);
      if (hash === wanted) return place;
      place = 2 * place + (wanted < hash ? 1 : 2);
    }
    return -1;
  };
  const law = fc.property(names, (all) => {
    const items = all.map((name, i) => ({ filenameOffset: i, size: 1, hash: hashName(name) }));
    const record = encodeGoodbye(columnsOf(items), all.length, 0);
    return items.every(({ hash, filenameOffset }) => {
      const place = find(record, (BigInt(hash.high) << 32n) | BigInt(hash.low));
      return all.length - readSize(record, 16 + ITEM_SIZE * place) === filenameOffset;
    });
  });
  t.notThrows(() => fc.assert(law));
});

test('equal hashes keep the order of the archive', (t) => {
  const items = [item(0, 5), item(1, 5), item(2, 5)];
  t.deepEqual(offsetsOf(encodeGoodbye(columnsOf(items), 3, 0), 3), [1, 0, 2]);
});

test('hashes sort as unsigned 64-bit numbers', (t) => {
  const hashes = [
    { high: 0xffff_ffff, low: 0 },
    { high: 0, low: 0xffff_ffff },
    { high: 0x8000_0000, low: 1 },
  ];
  const items = hashes.map((hash, i) => ({ filenameOffset: i, size: 1, hash }));
  t.deepEqual(offsetsOf(encodeGoodbye(columnsOf(items), 3, 0), 3), [2, 1, 0]);
});

test('the table of an empty directory is only its tail', (t) => {
  const archive = golden('mini/emptydir.catar');
  t.deepEqual(encodeGoodbye(columnsOf([]), archive.length - 40, 0), archive.slice(-40));
});

test('the table of a real directory is that of the original', (t) => {
  const archive = golden('mini/many.catar');
  const size = readSize(archive, archive.length - 16);
  const start = archive.length - size;
  const table = archive.slice(start);
  const items: GoodbyeItem[] = [];
  for (let at = 16; at < size - ITEM_SIZE; at += ITEM_SIZE) {
    items.push({
      filenameOffset: start - readSize(table, at),
      size: readSize(table, at + 8),
      hash: { low: readU32(table, at + 16), high: readU32(table, at + 20) },
    });
  }
  items.sort((a, b) => a.filenameOffset - b.filenameOffset);
  t.is(items.length, 37);
  t.deepEqual(encodeGoodbye(columnsOf(items), start, 0), table);
});

test('names are hashed with the key of casync', (t) => {
  t.deepEqual(hashName(asciiBytes('hello.txt')), { high: 0x768166ec, low: 0x6f1259fb });
});

test('a million children are sorted without deep recursion', (t) => {
  const count = 1_000_000;
  const items = Array.from({ length: count }, (_, i) => item(i, (i * 7919) % count));
  const record = encodeGoodbye(columnsOf(items), count, 0);
  t.is(record.length, 40 + ITEM_SIZE * count);
  // The left subtree of a complete tree of that size is full: 2^19 - 1 items.
  t.is(readU32(record, 16 + 20), 2 ** 19 - 1);
});
