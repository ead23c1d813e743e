/** States of maps and their journals (spec/formats/map.md). */
import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import type { BlockDigestName } from '../../formats/block-digest.ts';
import { isCasError } from '../../formats/errors.ts';
import { decodeMapJournal, encodeMapRecord, type MapRecord } from '../../formats/map-journal.ts';
import { decodeMapHeader, encodeMapHeader, type MapHeader } from '../../formats/map-state.ts';
import { createBlockDigest } from '../../lib/digest/block-digest.node.ts';

const sha256 = createBlockDigest('sha256');
const TOOLS = {
  sha256,
  utf8: (text: string) => new Uint8Array(Buffer.from(text)),
  text: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};

const HEADER: MapHeader = {
  digest: 'sha256',
  blockSize: 4096,
  condition: {
    root: new Uint8Array(32).fill(0xab),
    imageSize: 123_456,
    destinationSize: 200_000,
    mtimeNs: 1_700_000_000_123_456_789n,
    writeCount: undefined,
    bootId: 0x0123456789abcdefn,
  },
  binding: {
    kind: 'file',
    tag: new Uint8Array(16).fill(0xcd),
    inode: 42n,
    birthNs: 1_600_000_000_000_000_001n,
    identity: '/srv/disk.img',
  },
  isUnknown: false,
  isUnsynced: false,
};

const RECORDS: readonly MapRecord[] = [
  {
    kind: 'begin',
    nonce: new Uint8Array(16).fill(0x11),
    oldSize: 200_000,
    newSize: 123_456,
    batch: 64 << 20,
    isUnsynced: false,
    bootId: 5n,
  },
  {
    kind: 'intent',
    imageSize: 123_456,
    runs: [
      { first: 0, count: 2, isZeros: false },
      { first: 7, count: 9, isZeros: true },
    ],
    digests: new Uint8Array(64).fill(0xee),
  },
  { kind: 'committed', intent: 1, nonce: new Uint8Array(16).fill(0x11) },
  { kind: 'finish', condition: HEADER.condition },
];

function journalOf(records: readonly MapRecord[]): Uint8Array {
  const parts = records.map((record, i) => encodeMapRecord(record, i, sha256));
  return new Uint8Array(Buffer.concat(parts));
}

function decoded(bytes: Uint8Array, offset = 0): MapRecord[] {
  const file = {
    length: bytes.length,
    read: (at: number, length: number) => bytes.slice(at, at + length),
  };
  return [...decodeMapJournal(file, offset, sha256)].map(({ record }) => record);
}

test('a header lies where its page says', (t) => {
  const bytes = Buffer.from(encodeMapHeader(HEADER, TOOLS));
  t.is(bytes.length, 192);
  t.is(bytes.toString('latin1', 0, 16), 'casync map 1\n\0\0\0');
  t.is(bytes.readUInt32LE(16), 192);
  t.deepEqual([...bytes.subarray(20, 24)], [1, 1, 4, 0]);
  t.is(bytes.readBigUInt64LE(24), 4096n);
  t.is(bytes.toString('hex', 32, 64), 'ab'.repeat(32));
  t.is(bytes.readBigUInt64LE(64), 123_456n);
  t.is(bytes.readBigUInt64LE(72), 200_000n);
  t.is(bytes.readBigUInt64LE(80), 1_700_000_000_123_456_789n);
  t.is(bytes.readBigUInt64LE(88), 2n ** 64n - 1n);
  t.is(bytes.readBigUInt64LE(96), 0x0123456789abcdefn);
  t.is(bytes.toString('hex', 104, 120), 'cd'.repeat(16));
  t.is(bytes.readBigUInt64LE(120), 42n);
  t.is(bytes.readBigUInt64LE(128), 1_600_000_000_000_000_001n);
  t.is(bytes.readUInt32LE(136), 13);
  t.is(bytes.toString('latin1', 144, 157), '/srv/disk.img');
  const seal = createHash('sha256').update(bytes.subarray(0, 160)).digest();
  t.deepEqual(bytes.subarray(160), seal);
});

test('a record lies where its page says', (t) => {
  const bytes = Buffer.from(encodeMapRecord(RECORDS[1], 1, sha256));
  t.is(bytes.length, 32 + 128);
  t.deepEqual([bytes.readUInt32LE(0), bytes.readUInt32LE(4)], [2, 112]);
  t.is(bytes.readBigUInt64LE(8), 1n);
  const checksum = (part: Buffer) => createHash('sha256').update(part).digest('hex').slice(0, 16);
  t.is(bytes.toString('hex', 16, 24), checksum(bytes.subarray(32)));
  t.is(bytes.toString('hex', 24, 32), checksum(bytes.subarray(0, 24)));
  t.is(bytes.readBigUInt64LE(32), 123_456n);
  t.is(bytes.readUInt32LE(40), 2);
  t.deepEqual(
    [bytes.readBigUInt64LE(48), bytes.readUInt32LE(56), bytes.readUInt32LE(60)],
    [0n, 2, 0],
  );
  t.deepEqual(
    [bytes.readBigUInt64LE(64), bytes.readUInt32LE(72), bytes.readUInt32LE(76)],
    [7n, 9, 1],
  );
  t.is(bytes.toString('hex', 80, 144), 'ee'.repeat(64));
  t.is(bytes.toString('hex', 144), '00'.repeat(16));
});

test('headers come back as they were', (t) => {
  const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const count = fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 2n }), { nil: undefined });
  const header = fc.record<MapHeader>({
    digest: fc.constantFrom<BlockDigestName>('sha256', 'sha512-256', 'blake2b-256'),
    blockSize: fc.integer({ min: 1, max: 32_768 }).map((sectors) => sectors * 512),
    condition: fc.record({
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      imageSize: size,
      destinationSize: size,
      mtimeNs: count,
      writeCount: count,
      bootId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
    binding: fc.record({
      kind: fc.constantFrom('file' as const, 'device' as const),
      tag: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
      inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      birthNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      identity: fc.string({ maxLength: 200 }),
    }),
    isUnknown: fc.boolean(),
    isUnsynced: fc.boolean(),
  });
  fc.assert(
    fc.property(header, (value) => {
      const bytes = encodeMapHeader(value, TOOLS);
      const { length, ...back } = decodeMapHeader(bytes, TOOLS);
      t.is(length, bytes.length);
      t.deepEqual(back, value);
    }),
    { numRuns: 200 },
  );
});

test('a header that is cut or flipped is refused', (t) => {
  const bytes = encodeMapHeader(HEADER, TOOLS);
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeMapHeader(bytes.subarray(0, length), TOOLS), { code: 'FORMAT' });
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    t.throws(() => decodeMapHeader(flipped, TOOLS), { code: 'FORMAT' }, `bit ${bit}`);
  }
});

test('what this version does not know is refused', (t) => {
  const seal = (bytes: Uint8Array) => {
    sha256.write(bytes.subarray(0, 160), bytes, 160);
    return bytes;
  };
  for (const [offset, value] of [
    [20, 4],
    [20, 0],
    [21, 3],
    [22, 8],
    [23, 1],
    [140, 1],
    [158, 1],
    [25, 1],
    [24, 1],
  ]) {
    const bytes = encodeMapHeader(HEADER, TOOLS);
    bytes[offset] |= value;
    if (offset === 20) bytes[offset] = value;
    t.throws(() => decodeMapHeader(seal(bytes), TOOLS), { code: 'FORMAT' }, `${offset}`);
  }
});

test('records come back as they were', (t) => {
  t.deepEqual(decoded(journalOf(RECORDS)), [...RECORDS]);
});

test('a journal that ends anywhere has the records that are complete', (t) => {
  const bytes = journalOf(RECORDS);
  const ends = RECORDS.map((_, i) => journalOf(RECORDS.slice(0, i + 1)).length);
  for (let length = 0; length <= bytes.length; length++) {
    const expected = ends.filter((end) => end <= length).length;
    t.is(decoded(bytes.subarray(0, length)).length, expected, `${length}`);
  }
});

test('no flipped bit of a journal is taken for what was there, or for a torn end', (t) => {
  const bytes = journalOf(RECORDS);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    t.throws(() => decoded(flipped), { code: 'FORMAT' }, `bit ${bit}`);
  }
});

test('a record of which a sector never reached the disk ends the journal', (t) => {
  const long: MapRecord = {
    kind: 'intent',
    imageSize: 4096 * 100,
    runs: [{ first: 0, count: 100, isZeros: false }],
    digests: new Uint8Array(3200).fill(0x77),
  };
  const bytes = journalOf([RECORDS[0], long, RECORDS[2]]);
  const begin = journalOf([RECORDS[0]]).length;
  const end = journalOf([RECORDS[0], long]).length;
  for (let sector = 0; sector < bytes.length; sector += 512) {
    const torn = bytes.slice();
    torn.fill(0, sector, sector + 512);
    const firstHit = sector < begin ? 0 : sector < end ? 1 : 2;
    if (sector + 512 > begin && sector < begin) continue;
    t.is(decoded(torn).length, firstHit, `sector at ${sector}`);
  }
});

test('hostile journals are refused or read, and never more', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        decoded(bytes);
      } catch (error) {
        if (!isCasError(error)) throw error;
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('records have a limit', (t) => {
  const digests = new Uint8Array(4 * 1024 * 1024);
  const record: MapRecord = {
    kind: 'intent',
    imageSize: 0,
    runs: [{ first: 0, count: digests.length / 32, isZeros: false }],
    digests,
  };
  t.throws(() => encodeMapRecord(record, 0, sha256), { code: 'FORMAT' });
});
