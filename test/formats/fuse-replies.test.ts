import test from 'ava';
import fc from 'fast-check';
import {
  type FuseAttributes,
  writeAnswerHeader,
  writeEntry,
  writeGetattr,
  writeIoctl,
  writeOpen,
  writeSeek,
  writeStatfs,
  writeXattrSize,
} from '../../formats/fuse-replies.ts';
import { fields, u32, u64 } from '../helpers/fuse-bytes.ts';

const FILE: FuseAttributes = {
  inode: 0x1122334455,
  mode: 0o100640,
  linkCount: 3,
  uid: 1000,
  gid: 0xffff_fffe,
  size: 1025,
  modifiedNs: 1_700_000_000_123_456_789n,
};

const FILE_BYTES = fields(
  ...[u64(0x1122334455), u64(1025), u64(3)],
  ...[u64(1_700_000_000), u64(1_700_000_000), u64(1_700_000_000)],
  ...[u32(123_456_789), u32(123_456_789), u32(123_456_789)],
  ...[u32(0o100640), u32(3), u32(1000), u32(0xffff_fffe), u32(0), u32(4096), u32(0)],
);

const VALID = 0x7fff_ffff;

/** What a function writes, on ground that is not zero, and that it writes no more than that. */
function written(size: number, write: (out: Uint8Array, at: number) => void): Uint8Array {
  const out = new Uint8Array(size + 32).fill(0xee);
  write(out, 16);
  if (out.subarray(0, 16).some((byte) => byte !== 0xee)) throw new Error('written before');
  if (out.subarray(16 + size).some((byte) => byte !== 0xee)) throw new Error('written behind');
  return out.subarray(16, 16 + size);
}

function same(t: { deepEqual(a: unknown, b: unknown): void }, a: Uint8Array, b: Uint8Array): void {
  t.deepEqual(Buffer.from(a).toString('hex'), Buffer.from(b).toString('hex'));
}

test('a header has length, negative error number and the same id', (t) => {
  const out = new Uint8Array(16);
  writeAnswerHeader(out, { low: 0x9abcdef0, high: 0x12345678 }, 16, 5);
  same(t, out, Buffer.from('10000000fbfffffff0debc9a78563412', 'hex'));
});

test('an entry is valid for ever', (t) => {
  const head = [u64(0x1122334455), u64(0), u64(VALID), u64(VALID), u32(0), u32(0)];
  same(
    t,
    written(128, (out, at) => writeEntry(out, at, FILE)),
    fields(...head, FILE_BYTES),
  );
});

test('that there is no such name is valid for ever, too', (t) => {
  const head = [u64(0), u64(0), u64(VALID), u64(VALID), u32(0), u32(0)];
  const expected = fields(...head, new Uint8Array(88));
  same(
    t,
    written(128, (out, at) => writeEntry(out, at, undefined)),
    expected,
  );
});

test('attributes are valid for ever', (t) => {
  const expected = fields(u64(VALID), u32(0), u32(0), FILE_BYTES);
  same(
    t,
    written(104, (out, at) => writeGetattr(out, at, FILE)),
    expected,
  );
});

test('device numbers have 12 bits of major and 20 bits of minor number', (t) => {
  const device = { ...FILE, mode: 0o020600, device: { major: 0xabc, minor: 0xdef12 } };
  const bytes = Buffer.from(written(104, (out, at) => writeGetattr(out, at, device)));
  t.is(bytes.readUInt32LE(16 + 76), 0xdefabc12);
  t.is(bytes.readBigUInt64LE(16 + 16), 0n, 'only files occupy blocks');
});

test('times before 1970 have nanoseconds that count forward', (t) => {
  const early = { ...FILE, modifiedNs: -1n };
  const bytes = Buffer.from(written(104, (out, at) => writeGetattr(out, at, early)));
  t.is(bytes.readBigInt64LE(16 + 32), -1n);
  t.is(bytes.readUInt32LE(16 + 52), 999_999_999);
});

test('every time of 64 bits is told exactly', (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (modifiedNs) => {
      const bytes = Buffer.from(
        written(104, (out, at) => writeGetattr(out, at, { ...FILE, modifiedNs })),
      );
      const seconds = bytes.readBigInt64LE(16 + 32);
      const nanoseconds = bytes.readUInt32LE(16 + 52);
      return nanoseconds < 1e9 && seconds * 1_000_000_000n + BigInt(nanoseconds) === modifiedNs;
    }),
  );
  t.pass();
});

test('times next to whole seconds are told exactly', (t) => {
  for (let second = -4_000_000_000n; second <= 9_000_000_000n; second += 999_999_937n) {
    for (const nanosecond of [0n, 1n, 999_999_999n]) {
      const modifiedNs = second * 1_000_000_000n + nanosecond;
      const out = Buffer.from(
        written(104, (memory, at) => writeGetattr(memory, at, { ...FILE, modifiedNs })),
      );
      t.is(out.readBigInt64LE(16 + 32), second);
      t.is(out.readUInt32LE(16 + 52), Number(nanosecond));
    }
  }
});

test('a file system is as large as its blocks, rounded up, and full', (t) => {
  const expected = fields(
    ...[u64(3), u64(0), u64(0), u64(0), u64(0)],
    ...[u32(4096), u32(255), u32(4096), u32(0), new Uint8Array(24)],
  );
  same(
    t,
    written(80, (out, at) => writeStatfs(out, at, 8193)),
    expected,
  );
});

test('small answers have their fields in order', (t) => {
  same(
    t,
    written(16, (out, at) => writeOpen(out, at, 10)),
    fields(u64(0), u32(10), u32(0)),
  );
  same(
    t,
    written(8, (out, at) => writeXattrSize(out, at, 300)),
    fields(u32(300), u32(0)),
  );
  same(
    t,
    written(16, (out, at) => writeIoctl(out, at)),
    new Uint8Array(16),
  );
  same(
    t,
    written(8, (out, at) => writeSeek(out, at, 2 ** 40)),
    fields(u64(2 ** 40)),
  );
});
