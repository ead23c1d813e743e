import test from 'ava';
import { appendEntry, type FuseListing } from '../../formats/fuse-listing.ts';
import { writeEntry } from '../../formats/fuse-replies.ts';
import { fields, text, u32, u64 } from '../helpers/fuse-bytes.ts';

const ENTRY = { name: text('abc'), inode: 0x1122334455, mode: 0o100644, next: 77 };
const ATTRIBUTES = {
  ...{ inode: 0x1122334455, mode: 0o100644, linkCount: 1, uid: 0, gid: 0, size: 5 },
  modifiedNs: 0n,
};
const LINE = fields(u64(0x1122334455), u64(77), u32(3), u32(8), text('abc\0\0\0\0\0'));

function listing(size: number, isPlus: boolean): FuseListing {
  return { out: new Uint8Array(16 + size).fill(0xee), end: 16, limit: 16 + size, isPlus };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('a line has inode, cookie, type and name, filled up to eight bytes', (t) => {
  const list = listing(32, false);
  t.true(appendEntry(list, ENTRY));
  t.is(hex(list.out.subarray(16, list.end)), hex(LINE));
});

test('with attributes a whole entry stands before the line', (t) => {
  const list = listing(160, true);
  const entry = new Uint8Array(128);
  writeEntry(entry, 0, ATTRIBUTES);
  t.true(appendEntry(list, { ...ENTRY, attributes: ATTRIBUTES }));
  t.is(hex(list.out.subarray(16, list.end)), hex(entry) + hex(LINE));
});

test('an entry whose attributes are not known names no inode', (t) => {
  const list = listing(160, true);
  t.true(appendEntry(list, ENTRY));
  t.is(hex(list.out.subarray(16, 24)), '0000000000000000');
  t.is(hex(list.out.subarray(144, list.end)), hex(LINE));
});

test('a plain listing has no attributes, known or not', (t) => {
  const list = listing(64, false);
  t.true(appendEntry(list, { ...ENTRY, attributes: ATTRIBUTES }));
  t.is(list.end, 16 + 32);
});

test('what does not fit is not begun', (t) => {
  for (const isPlus of [false, true]) {
    const list = listing(isPlus ? 159 : 31, isPlus);
    t.false(appendEntry(list, ENTRY));
    t.is(list.end, 16);
    t.true(list.out.every((byte) => byte === 0xee));
  }
});
