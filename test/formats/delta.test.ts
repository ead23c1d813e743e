/** Deltas as bytes: what is written is read, and nothing else is taken for it. */
import { createHash } from 'node:crypto';
import test from 'ava';
import type { BlockDigest, BlockDigestName } from '../../formats/block-digest.ts';
import {
  DELTA_END_LENGTH,
  DELTA_HEAD_LENGTH,
  DELTA_HEADER_LENGTH,
  type DeltaHeader,
  decodeDeltaEnd,
  decodeDeltaHead,
  decodeDeltaHeader,
  encodeDeltaEnd,
  encodeDeltaHeader,
  headerChecksum,
  openDeltaRecord,
  sealDeltaRecord,
} from '../../formats/delta.ts';
import {
  BlocksCheck,
  type BlocksRecord,
  decodeBlocksRecord,
  encodeBlocksRecord,
  NEW,
  OLD,
} from '../../formats/delta-blocks.ts';
import {
  decodePieceRecord,
  encodePieceRecord,
  PART,
  type PieceRecord,
} from '../../formats/delta-pieces.ts';

function digestOf(name: BlockDigestName): BlockDigest {
  return {
    name,
    write: (bytes, into, offset) => into.set(createHash('sha256').update(bytes).digest(), offset),
  };
}

const SHA256 = digestOf('sha256');
const BLOCKS: DeltaHeader = {
  kind: 'blocks',
  isUndo: false,
  digest: 'sha256',
  blockSize: 4096,
  chunkSizes: undefined,
};
const PIECES: DeltaHeader = {
  kind: 'pieces',
  isUndo: true,
  digest: 'sha512-256',
  blockSize: 0,
  chunkSizes: { min: 1024, avg: 4096, max: 16384 },
};

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

test('a header is read as it was written', (t) => {
  for (const header of [BLOCKS, PIECES]) {
    const bytes = encodeDeltaHeader(header, SHA256);
    t.is(bytes.length, DELTA_HEADER_LENGTH);
    t.deepEqual(decodeDeltaHeader(bytes, digestOf), header);
  }
});

test('the bytes of a header are those of the specification', (t) => {
  const fields = Buffer.from(encodeDeltaHeader(PIECES, SHA256).subarray(0, 64)).toString('hex');
  t.is(
    fields,
    '89636164656c0a01' +
      '02000000' +
      '01000000' +
      '01000000' +
      '00000000' +
      '0000000000000000' +
      '0004000000000000' +
      '0010000000000000' +
      '0040000000000000' +
      '0000000000000000',
  );
});

test('a header that was changed in any bit or cut off is refused', (t) => {
  const bytes = encodeDeltaHeader(BLOCKS, SHA256);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const wrong = bytes.slice();
    wrong[bit >>> 3] ^= 1 << (bit & 7);
    t.throws(() => decodeDeltaHeader(wrong, digestOf), { code: 'FORMAT' }, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeDeltaHeader(bytes.subarray(0, length), digestOf), { code: 'FORMAT' });
  }
});

test('a newer version is named', (t) => {
  const bytes = encodeDeltaHeader(BLOCKS, SHA256);
  bytes[7] = 2;
  t.throws(() => decodeDeltaHeader(bytes, digestOf), { message: /version 2 is not known/ });
});

test('headers with impossible fields are refused although their checksum is right', (t) => {
  const wrong: readonly Partial<DeltaHeader>[] = [
    { blockSize: 63 },
    { blockSize: 16 * 1024 * 1024 + 1 },
    { chunkSizes: { min: 1, avg: 1, max: 1 } },
    { kind: 'pieces' },
  ];
  for (const fields of wrong) {
    const bytes = encodeDeltaHeader({ ...BLOCKS, ...fields }, SHA256);
    t.throws(() => decodeDeltaHeader(bytes, digestOf), { code: 'FORMAT' });
  }
});

test('a record is opened only behind the one that it was sealed behind', (t) => {
  const first = headerChecksum(encodeDeltaHeader(BLOCKS, SHA256));
  const body = Uint8Array.of(1, 2, 3);
  const record = sealDeltaRecord(SHA256, first, 'blocks', [body.subarray(0, 1), body.subarray(1)]);
  t.deepEqual(decodeDeltaHead(record, 0), { type: 'blocks', length: 3 });
  t.deepEqual(openDeltaRecord(SHA256, joined([first, record]), 0).body, body);
  const other = new Uint8Array(32);
  t.throws(() => openDeltaRecord(SHA256, joined([other, record]), 0), { code: 'FORMAT' });
  for (let i = 0; i < record.length; i++) {
    const wrong = record.slice();
    wrong[i] ^= 64;
    t.throws(() => openDeltaRecord(SHA256, joined([first, wrong]), 0), { code: 'FORMAT' });
  }
});

test('records of unknown types and lengths are refused', (t) => {
  const head = (length: number, type: number) => {
    const bytes = new Uint8Array(DELTA_HEAD_LENGTH);
    new DataView(bytes.buffer).setUint32(0, length, true);
    new DataView(bytes.buffer).setUint32(4, type, true);
    return bytes;
  };
  for (const [length, type] of [
    [3, 0],
    [3, 4],
    [33 * 1024 * 1024, 1],
    [95, 3],
  ]) {
    t.throws(() => decodeDeltaHead(head(length, type), 0), { code: 'FORMAT' });
  }
});

test('the last record is read as it was written, always as long', (t) => {
  const end = {
    base: { size: 12_345, root: new Uint8Array(32).fill(1) },
    result: { size: 2 ** 40, root: new Uint8Array(32).fill(2) },
    changedBytes: 9000,
    dataBytes: 4096,
  };
  const body = encodeDeltaEnd(end);
  t.is(sealDeltaRecord(SHA256, new Uint8Array(32), 'end', [body]).length, DELTA_END_LENGTH);
  t.deepEqual(decodeDeltaEnd(body, 0), end);
  t.throws(() => decodeDeltaEnd(encodeDeltaEnd({ ...end, dataBytes: 9001 }), 0), {
    code: 'FORMAT',
  });
  const endless = { size: 2 ** 52 + 1, root: new Uint8Array(32) };
  t.throws(() => decodeDeltaEnd(encodeDeltaEnd({ ...end, result: endless }), 0), {
    code: 'FORMAT',
  });
});

const RECORD: BlocksRecord = {
  runs: [
    { first: 3, count: 2, old: OLD.digest, new: NEW.data },
    { first: 9, count: 1000, old: OLD.zeros, new: NEW.zeros },
    { first: 2 ** 40, count: 1, old: OLD.absent, new: NEW.data },
  ],
  oldDigests: new Uint8Array(64).fill(5),
  newDigests: new Uint8Array(96).fill(6),
  dataLength: 8200,
  isCompressed: true,
  stored: Uint8Array.of(9, 9, 9),
};

test('changed blocks are read as they were written', (t) => {
  const body = joined(encodeBlocksRecord(RECORD));
  t.is(body.length, 16 + 3 * 16 + 64 + 96 + 3);
  t.deepEqual(decodeBlocksRecord(body, 0), RECORD);
});

test('changed blocks that were cut off are refused, or hold less of what is compressed', (t) => {
  const body = joined(encodeBlocksRecord(RECORD));
  for (let length = 0; length < body.length - 3; length++) {
    t.throws(() => decodeBlocksRecord(body.subarray(0, length), 0), { code: 'FORMAT' });
  }
});

test('impossible runs are refused', (t) => {
  const [run] = RECORD.runs;
  for (const wrong of [
    { ...run, count: 0 },
    { ...run, first: Number.MAX_SAFE_INTEGER },
    { ...run, old: OLD.absent, new: NEW.absent },
    { ...run, old: 4 as 0 },
    { ...run, new: 3 as 0 },
  ]) {
    const body = joined(encodeBlocksRecord({ ...RECORD, runs: [wrong] }));
    t.throws(() => decodeBlocksRecord(body, 0), { code: 'FORMAT' });
  }
  const none = joined(encodeBlocksRecord({ ...RECORD, runs: [] }));
  t.throws(() => decodeBlocksRecord(none, 0), { code: 'FORMAT' });
});

function version(size: number) {
  return { size, root: new Uint8Array(32) };
}

test('runs must ascend and fit the sizes, and nothing may be missing', (t) => {
  const data = { ...RECORD, dataLength: 4096, isCompressed: false, stored: new Uint8Array(4096) };
  const take = (
    sizes: readonly [number, number],
    runs: BlocksRecord['runs'],
    dataLength = 4096,
  ) => {
    const check = new BlocksCheck(4096, version(sizes[0]), version(sizes[1]));
    check.take({ ...data, runs, dataLength }, 0);
    check.finish(0);
  };
  const changed = { count: 1, old: OLD.digest, new: NEW.data };
  const added = { count: 1, old: OLD.absent, new: NEW.data };
  t.notThrows(() => take([8192, 8192], [{ ...changed, first: 1 }]));
  t.throws(() => take([8192, 8192], [{ ...changed, first: 2 }]), { code: 'FORMAT' });
  t.throws(() => take([8192, 8192], [{ ...changed, first: 1 }], 4095), { code: 'FORMAT' });
  t.throws(() => take([8192, 8192], [{ ...added, first: 1 }]), { code: 'FORMAT' });
  t.notThrows(() => take([8192, 9000], [{ ...added, first: 2 }], 808));
  t.throws(() => take([8192, 13_000], [{ ...added, first: 2 }]), { message: /missing/ });
  // The image ends within block 1, which must therefore be there.
  t.throws(() => take([9000, 8100], [{ count: 1, first: 2, old: OLD.zeros, new: NEW.absent }], 0), {
    message: /missing/,
  });
  const both = [
    { ...changed, first: 1 },
    { ...changed, first: 1 },
  ];
  t.throws(() => take([8192, 8192], both, 8192), { message: /ascend/ });
});

const PIECE: PieceRecord = {
  length: 10_000,
  digest: new Uint8Array(32).fill(7),
  parts: [
    { kind: PART.copy, offset: 123_456_789_012, length: 5000 },
    { kind: PART.zeros, offset: 0, length: 4000 },
    { kind: PART.data, offset: 0, length: 1000 },
  ],
  dataLength: 1000,
  isCompressed: true,
  stored: Uint8Array.of(1),
};

test('a piece is read as it was written', (t) => {
  const body = joined(encodePieceRecord(PIECE));
  t.deepEqual(decodePieceRecord(body, 0, 2 ** 40), PIECE);
});

test('impossible pieces are refused', (t) => {
  const [copy, zeros, data] = PIECE.parts;
  for (const wrong of [
    { ...PIECE, length: 0 },
    { ...PIECE, length: 9999 },
    { ...PIECE, dataLength: 999 },
    { ...PIECE, parts: [copy, zeros] },
    { ...PIECE, parts: [copy, { ...zeros, offset: 1 }, data] },
    { ...PIECE, parts: [copy, zeros, data, { ...zeros, length: 0 }] },
    { ...PIECE, parts: [copy, { ...zeros, kind: 3 as 0 }, data] },
    { ...PIECE, length: 5 * 1024 * 1024, parts: [{ ...copy, length: 5 * 1024 * 1024 }] },
    { ...PIECE, isCompressed: false },
  ]) {
    t.throws(() => decodePieceRecord(joined(encodePieceRecord(wrong)), 0, 2 ** 40), {
      code: 'FORMAT',
    });
  }
  const body = joined(encodePieceRecord(PIECE));
  t.throws(() => decodePieceRecord(body, 0, 1000), { message: /in the base/ });
  for (let length = 0; length < body.length - 1; length++) {
    t.throws(() => decodePieceRecord(body.subarray(0, length), 0, 2 ** 40), { code: 'FORMAT' });
  }
});
