/** Packs: what is written is found again, and nothing else is taken for it. */
import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../formats/bytes.ts';
import { isCasError } from '../../formats/errors.ts';
import {
  checkPackIndex,
  decodePackHeader,
  decodePackTrailer,
  encodePackHeader,
  encodePackTrailer,
  findPackEntry,
  PACK_ENTRY_LENGTH,
  PACK_FAN_OUT_LENGTH,
  PACK_HEADER_LENGTH,
  PACK_TRAILER_LENGTH,
} from '../../formats/pack.ts';
import { PackIndexBuilder } from '../../formats/pack-builder.ts';
import { PackReader } from '../../store/pack-reader.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());
const idOf = (i: number): Uint8Array => sha256(Uint8Array.of(i, i >> 8));

/** A pack of chunks whose stored forms are one byte each. */
function packOf(count: number, from = idOf): Uint8Array {
  const builder = new PackIndexBuilder(Math.random);
  for (let i = 0; i < count; i++) {
    builder.add(from(i), 0, {
      offset: PACK_HEADER_LENGTH + i,
      storedLength: 1,
      plainLength: 1 + i,
    });
  }
  const header = encodePackHeader('sha256');
  const index = builder.encode();
  const indexOffset = PACK_HEADER_LENGTH + count;
  const checksum = sha256(concatBytes([header, index]));
  const trailer = encodePackTrailer({ indexOffset, count, checksum });
  return concatBytes([header, new Uint8Array(count).fill(7), index, trailer]);
}

function readerOf(file: Uint8Array): PackReader {
  decodePackHeader(file);
  const trailer = file.subarray(Math.max(0, file.length - PACK_TRAILER_LENGTH));
  const layout = decodePackTrailer(trailer, file.length);
  const index = file.subarray(layout.indexOffset, layout.indexOffset + layout.indexLength);
  const header = file.subarray(0, PACK_HEADER_LENGTH);
  checkPackIndex(index, layout);
  if (hex(sha256(concatBytes([header, index]))) !== hex(layout.checksum)) {
    throw new Error('other checksum');
  }
  return new PackReader(layout, (offset, length) => file.subarray(offset, offset + length));
}

test('header and trailer have the bytes of the specification', (t) => {
  t.is(hex(encodePackHeader('sha256')), `8963617061630a0101000000${'00'.repeat(20)}`);
  t.is(hex(encodePackHeader('sha512-256')).slice(0, 24), '8963617061630a0102000000');
  const trailer = encodePackTrailer({
    indexOffset: 0x0102030405,
    count: 0x0607,
    checksum: new Uint8Array(32).fill(0xaa),
  });
  const expected = ['0504030201000000', '0706000000000000', 'aa'.repeat(32), '00'.repeat(8)];
  t.is(hex(trailer), `${expected.join('')}89636170656e640a`);
});

test('an entry has the bytes of the specification', (t) => {
  const builder = new PackIndexBuilder(Math.random);
  const id = Uint8Array.from({ length: 32 }, (_, i) => i + 2);
  builder.add(id, 0, { offset: 32, storedLength: 0x0102, plainLength: 0x1000 });
  const index = builder.encode();
  t.is(hex(index.subarray(0, 16)), '00000000000000000100000001000000');
  t.is(hex(index.subarray(PACK_FAN_OUT_LENGTH)), `${hex(id)}20000000000000000201000000100000`);
});

test('every chunk is found, and no other', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), (count) => {
      const reader = readerOf(packOf(count));
      for (let i = 0; i < count; i += 7) {
        const found = reader.find(idOf(i));
        t.is(found?.offset, PACK_HEADER_LENGTH + i);
        t.is(found?.plainLength, 1 + i);
      }
      t.is(reader.find(idOf(count)), undefined);
      t.is([...reader.chunks()].length, count);
    }),
    { numRuns: 15 },
  );
});

test('large indexes are searched in the file, whatever their ids are like', (t) => {
  const count = 50_000;
  // Spread evenly, and all close together.
  for (const from of [
    idOf,
    (i: number) => Uint8Array.from([1, 2, 3, 4, i >> 8, i, ...new Uint8Array(26)]),
  ]) {
    const reader = readerOf(packOf(count, from));
    for (let i = 0; i < count; i += 997) {
      t.is(reader.find(from(i))?.offset, PACK_HEADER_LENGTH + i);
    }
    t.is(reader.find(new Uint8Array(32).fill(1)), undefined);
    t.is(reader.find(from(count)), undefined);
  }
});

test('no flipped bit, and no end, escapes', (t) => {
  const file = packOf(3);
  const damaged: Uint8Array[] = [];
  for (let bit = 0; bit < file.length * 8; bit++) {
    const copy = file.slice();
    copy[bit >> 3] ^= 1 << (bit & 7);
    const isData = bit >> 3 >= PACK_HEADER_LENGTH && bit >> 3 < PACK_HEADER_LENGTH + 3;
    // What a chunk is, its own id says.
    if (!isData) damaged.push(copy);
  }
  for (let length = 0; length < file.length; length++) damaged.push(file.slice(0, length));
  for (const bytes of damaged) t.throws(() => readerOf(bytes));
});

test('foreign bytes are refused with an error of the format', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const error = t.throws(() => readerOf(bytes));
      t.true(isCasError(error));
    }),
  );
});

test('the place of an id that is not there is told', (t) => {
  const entries = new Uint8Array(2 * PACK_ENTRY_LENGTH);
  entries[0] = 4;
  entries[PACK_ENTRY_LENGTH] = 8;
  const find = (byte: number): number =>
    findPackEntry(entries, { first: 0, end: 2 }, Uint8Array.of(byte, ...new Uint8Array(31)));
  t.deepEqual([3, 4, 5, 8, 9].map(find), [-1, 0, -2, 1, -3]);
});
