/** Versions: a table comes back from its own file and those it builds on, and damage is noticed. */
import test from 'ava';
import fc from 'fast-check';
import { BlockTable } from '../../formats/block-table.ts';
import { concatBytes } from '../../formats/bytes.ts';
import { isCasError } from '../../formats/errors.ts';
import {
  applyVersion,
  decodeVersionHead,
  emptyTable,
  encodeVersion,
  lastingBytes,
  readVersionDigests,
  readVersionRuns,
  VERSION_HEAD_LENGTH,
  type VersionFacts,
  versionIdOf,
  versionLength,
} from '../../formats/version.ts';

const BLOCK = 512;
const zeroDigest = (length: number): Uint8Array =>
  new Uint8Array(32).fill(length === BLOCK ? 1 : 2);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function factsOf(table: BlockTable): VersionFacts {
  const { size, blockSize } = table;
  return {
    number: 3,
    time: 1000,
    digest: 'sha256',
    size,
    blockSize,
    root: new Uint8Array(32).fill(9),
  };
}

/** Blocks by their first byte; 0 is a block of zeros. */
function tableOf(contents: readonly number[], lastLength = BLOCK): BlockTable {
  const size = contents.length === 0 ? 0 : (contents.length - 1) * BLOCK + lastLength;
  const table = new BlockTable(BLOCK, size);
  for (const [i, content] of contents.entries()) {
    const digest = content === 0 ? zeroDigest(table.sizeOf(i)) : new Uint8Array(32).fill(content);
    table.set(i, digest);
  }
  return table;
}

function encode(
  table: BlockTable,
  runs: readonly { readonly first: number; readonly count: number; readonly isZeros: boolean }[],
  parent?: string,
): Uint8Array {
  const parts = [...encodeVersion(factsOf(table), parent, table, runs)].map((part) => part.slice());
  return concatBytes([...parts, new Uint8Array(32)]);
}

function apply(file: Uint8Array, table: BlockTable): BlockTable {
  const head = decodeVersionHead(file);
  if (file.length !== versionLength(head)) throw new Error('other length');
  const read = (offset: number, length: number) => file.subarray(offset, offset + length);
  applyVersion(head, table, read, zeroDigest);
  return table;
}

const RUNS = [
  { first: 0, count: 2, isZeros: false },
  { first: 2, count: 1, isZeros: true },
  { first: 3, count: 1, isZeros: false },
];

test('a version has the bytes of the specification', (t) => {
  const file = encode(tableOf([5, 6, 0, 7], 100), RUNS, '0123456789abcdef');
  const head = [
    '8963617665720a01',
    '0100000000000000',
    '0300000000000000',
    'e803000000000000',
    '6406000000000000',
    '0002000000000000',
    '09'.repeat(32),
    '0100000000000000',
    '0123456789abcdef',
    '0300000000000000',
    '0300000000000000',
    '00'.repeat(16),
  ];
  t.is(hex(file.subarray(0, VERSION_HEAD_LENGTH)), head.join(''));
  const runs = ['00000000000000000200000000000000', '02000000000000000100000001000000'];
  t.is(hex(file.subarray(VERSION_HEAD_LENGTH, VERSION_HEAD_LENGTH + 32)), runs.join(''));
  const digests = file.subarray(VERSION_HEAD_LENGTH + 48, -32);
  t.is(hex(digests), `${'05'.repeat(32)}${'06'.repeat(32)}${'07'.repeat(32)}`);
});

test('a whole version gives its table', (t) => {
  const table = tableOf([5, 6, 0, 7], 100);
  const read = apply(encode(table, RUNS), emptyTable(table));
  t.deepEqual([read.size, hex(read.digests())], [table.size, hex(table.digests())]);
});

test('runs and digests are read as they were written', (t) => {
  const file = encode(tableOf([5, 6, 0, 7]), RUNS);
  const read = (offset: number, length: number) => file.subarray(offset, offset + length);
  const head = decodeVersionHead(file);
  t.deepEqual([...readVersionRuns(head, read)], RUNS);
  const digests = concatBytes([...readVersionDigests(head, read)].map((part) => part.slice()));
  t.is(hex(digests), `${'05'.repeat(32)}${'06'.repeat(32)}${'07'.repeat(32)}`);
});

test('what differs from the parent makes the child, whatever the sizes are', (t) => {
  const contents = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 12 });
  const lengths = fc.integer({ min: 1, max: BLOCK });
  fc.assert(
    fc.property(contents, lengths, contents, lengths, (a, aLast, b, bLast) => {
      const parent = tableOf(a, aLast);
      const child = tableOf(b, bLast);
      const resized = new BlockTable(BLOCK, parent.size, parent.digests().slice());
      resized.resize(child.size);
      const runs = b.flatMap((content, first) => {
        if (resized.has(first, child.digests(first, 1), 0)) return [];
        return [{ first, count: 1, isZeros: content === 0 }];
      });
      const read = apply(encode(child, runs, '0123456789abcdef'), parent);
      t.is(read.size, child.size);
      t.is(hex(read.digests()), hex(child.digests()));
    }),
  );
});

test('the id is that of the version, whatever it builds on', (t) => {
  const table = tableOf([5]);
  const withParent = decodeVersionHead(encode(table, [], '0123456789abcdef'));
  const whole = decodeVersionHead(encode(table, [{ first: 0, count: 1, isZeros: false }]));
  t.deepEqual(lastingBytes(withParent), lastingBytes(whole));
  t.is(versionIdOf(Uint8Array.from({ length: 32 }, (_, i) => i)), '0001020304050607');
});

test('no end, and no flipped bit of head and runs, gives another table', (t) => {
  const table = tableOf([5, 6, 0, 7], 100);
  const file = encode(table, RUNS);
  for (let length = 0; length < file.length; length++) {
    t.throws(() => apply(file.slice(0, length), emptyTable(table)));
  }
  for (let bit = 0; bit < (VERSION_HEAD_LENGTH + 48) * 8; bit++) {
    const copy = file.slice();
    copy[bit >> 3] ^= 1 << (bit & 7);
    try {
      const head = decodeVersionHead(copy);
      // Then the id tells, which the file is named by.
      if (hex(lastingBytes(head)) !== hex(lastingBytes(factsOf(table)))) continue;
      const read = apply(copy, emptyTable(head));
      // Another table has another root.
      if (hex(read.digests()) !== hex(table.digests())) t.is(read.size, table.size, `bit ${bit}`);
    } catch (error) {
      t.true(isCasError(error) || (error as Error).message === 'other length', `bit ${bit}`);
    }
  }
});

test('foreign bytes are refused with an error of the format', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const error = t.throws(() => decodeVersionHead(bytes));
      t.true(isCasError(error));
    }),
  );
});
