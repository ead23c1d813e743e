/** Signatures of rdiff (spec/bridges.md, "rdiff signatures"). */
import test from 'ava';
import { FormatError } from '../../formats/errors.ts';
import {
  encodeRdiffEntry,
  encodeRdiffSignatureHeader,
  isRdiffSignature,
  RdiffSignature,
} from '../../formats/rdiff-signature.ts';

function example(count = 2): Buffer {
  const header = encodeRdiffSignatureHeader({
    strongSum: 'md4',
    weakSum: 'rollsum',
    blockSize: 2048,
    strongLength: 8,
  });
  const entries = Array.from({ length: count }, (_, i) => {
    const entry = Buffer.alloc(12);
    encodeRdiffEntry(entry, 0xfffffff0 + i, Buffer.alloc(16, i + 1));
    return entry;
  });
  return Buffer.concat([header, ...entries]);
}

test('a signature is read as it was written, and sums are cut', (t) => {
  const signature = new RdiffSignature(example());
  t.deepEqual(signature.header, {
    strongSum: 'md4',
    weakSum: 'rollsum',
    blockSize: 2048,
    strongLength: 8,
  });
  t.is(signature.count, 2);
  t.is(signature.weakOf(1), 0xfffffff1);
  t.true(signature.hasStrong(1, Buffer.alloc(16, 2)));
  t.false(signature.hasStrong(1, Buffer.alloc(16, 1)));
  t.false(signature.areEqual(0, 1));
});

test('the signature of nothing is its header', (t) => {
  t.is(new RdiffSignature(example(0)).count, 0);
});

test('each of the four magics is known, and no other', (t) => {
  for (let low = 0; low < 0x100; low++) {
    const bytes = example();
    bytes[3] = low;
    const isKnown = [0x36, 0x37, 0x46, 0x47].includes(low);
    t.is(isRdiffSignature(bytes), isKnown);
    if (isKnown) t.notThrows(() => new RdiffSignature(bytes));
    else t.throws(() => new RdiffSignature(bytes), { instanceOf: FormatError });
  }
});

test('a signature that ends within its header or a block is refused', (t) => {
  const bytes = example();
  for (let length = 0; length < bytes.length; length++) {
    const begin = bytes.subarray(0, length);
    if (length === 12 || length === 24) t.notThrows(() => new RdiffSignature(begin));
    else t.throws(() => new RdiffSignature(begin), { instanceOf: FormatError }, `${length}`);
  }
});

test('impossible lengths are refused', (t) => {
  for (const [offset, value] of [
    [4, 0],
    [4, 0x04000001],
    [4, 0xffffffff],
    [8, 0],
    [8, 17],
    [8, 0xffffffff],
  ] as const) {
    const bytes = example();
    bytes.writeUInt32BE(value, offset);
    t.throws(() => new RdiffSignature(bytes), { instanceOf: FormatError }, `${offset} ${value}`);
  }
});
