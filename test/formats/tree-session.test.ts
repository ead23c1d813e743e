import test from 'ava';
import fc from 'fast-check';
import { asciiBytes } from '../../formats/bytes.ts';
import { FormatError } from '../../formats/errors.ts';
import {
  type ContentItem,
  readContent,
  readDigest,
  readWanted,
  type WantedContent,
  writeContent,
  writeDigest,
  writeWanted,
} from '../../formats/tree-content.ts';
import { ItemReader, ItemWriter } from '../../formats/tree-items.ts';
import {
  decodePullTree,
  decodePushTree,
  encodePullTree,
  encodePushTree,
} from '../../formats/tree-open.ts';
import {
  decodeDone,
  decodeRoot,
  decodeRuns,
  encodeDone,
  encodeRoot,
  encodeRuns,
  readDirectory,
  readEntry,
  writeDirectory,
  writeEntry,
} from '../../formats/tree-session.ts';

const ROOT = {
  isComplete: true,
  featureFlags: 0x20n,
  digest: new Uint8Array(32).fill(1),
  salt: new Uint8Array(8).fill(2),
  directoryCount: 3,
  entryCount: 20,
  byteCount: 1_000_000,
  mtime: 77n,
  attributes: Uint8Array.of(9, 9),
};

const PIECES = {
  sizes: { min: 1024, avg: 4096, max: 16_384 },
  byteCount: 3000,
  lengths: [1200, 1800],
  digests: new Uint8Array(16).fill(5),
};

const COUNTS = {
  changedCount: 1,
  changedBytes: 200,
  ownBytes: 100,
  movedBytes: 50,
  receivedBytes: 100,
};

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Every message whose end is missing must be refused. */
function refusesTruncated(
  t: { throws: (act: () => unknown, expected: object, message: string) => unknown },
  bytes: Uint8Array,
  read: (bytes: Uint8Array) => unknown,
  from = 0,
): void {
  for (let length = from; length < bytes.length; length++) {
    const act = () => read(bytes.slice(0, length));
    t.throws(act, { instanceOf: FormatError }, `${length} of ${bytes.length}`);
  }
}

test('numbers are written in their shortest form, and read in no other', (t) => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const bytes = new ItemWriter().count(value).take();
      const reader = new ItemReader('x', bytes);
      return reader.count() === value && reader.isAtEnd;
    }),
  );
  t.is(hex(new ItemWriter().count(300).take()), 'ac02');
  t.throws(() => new ItemReader('x', Uint8Array.of(0x80, 0)).count(), { instanceOf: FormatError });
  const endless = new Uint8Array(20).fill(0xff);
  t.throws(() => new ItemReader('x', endless).count(), { instanceOf: FormatError });
  t.throws(() => new ItemReader('x', Uint8Array.of(9)).count(8), { instanceOf: FormatError });
});

test('the first message is what the page says', (t) => {
  const bytes = encodeRoot(ROOT);
  t.is(
    hex(bytes),
    `01012000000000000000${'01'.repeat(32)}${'02'.repeat(8)}0300000000000000` +
      '140000000000000040420f00000000004d000000000000000909',
  );
  t.deepEqual(decodeRoot(bytes), ROOT);
  refusesTruncated(t, bytes.slice(0, 82), decodeRoot);
});

test('the first message of another version or with unknown features is refused', (t) => {
  const [version, flags] = [encodeRoot(ROOT), encodeRoot(ROOT)];
  version[0] = 2;
  flags[6] = 0x80;
  for (const bytes of [version, flags]) {
    t.throws(() => decodeRoot(bytes), { instanceOf: FormatError });
  }
});

test('directories and entries are read as they were written', (t) => {
  const writer = new ItemWriter();
  const directory = {
    parent: 2,
    name: asciiBytes('name'),
    entryCount: 7,
    digest: new Uint8Array(8).fill(3),
  };
  writeDirectory(writer, directory, 5);
  const bytes = writer.take();
  t.is(hex(bytes), '03046e616d6507 0303030303030303'.replaceAll(' ', ''));
  t.deepEqual(readDirectory(new ItemReader('x', bytes), 5), directory);
  refusesTruncated(t, bytes, (part) => readDirectory(new ItemReader('x', part), 5));
  t.throws(() => readDirectory(new ItemReader('x', bytes), 2), { instanceOf: FormatError });
  t.throws(() => readDirectory(new ItemReader('x', bytes), 0), { instanceOf: FormatError });

  const common = { name: asciiBytes('n'), attributes: 4, mtime: 5n };
  const file = { ...common, size: 1000 };
  const link = { ...common, size: 0, target: asciiBytes('to') };
  for (const [entry, isFile] of [
    [file, true],
    [link, false],
    [{ ...common, size: 0 }, false],
  ] as const) {
    writeEntry(writer, entry, isFile);
    const written = writer.take();
    const read = readEntry(new ItemReader('x', written));
    t.like(read, { ...entry, isFile });
    refusesTruncated(t, written, (part) => readEntry(new ItemReader('x', part)));
  }
});

test('runs hold what they were made of, and nothing else', (t) => {
  const runs = [
    { first: 0, count: 2 },
    { first: 2, count: 1 },
    { first: 9, count: 4 },
  ];
  const bytes = encodeRuns(runs);
  t.is(hex(bytes), '00030604');
  t.deepEqual(decodeRuns('x', bytes, 13), [
    { first: 0, count: 3 },
    { first: 9, count: 4 },
  ]);
  t.throws(() => decodeRuns('x', bytes, 12), { instanceOf: FormatError });
  t.throws(() => decodeRuns('x', Uint8Array.of(1, 0), 12), { instanceOf: FormatError });
  t.throws(() => decodeRuns('x', Uint8Array.of(1), 12), { instanceOf: FormatError });
});

test('wishes for content are read as they were written', (t) => {
  const fixed = {
    sizes: { min: 4096, avg: 4096, max: 4096 },
    byteCount: 5000,
    digests: new Uint8Array(16).fill(6),
  };
  const wishes: WantedContent[] = [
    { number: 3 },
    { number: 4, pieces: PIECES },
    { number: 0, pieces: fixed },
  ];
  for (const wish of wishes) {
    const writer = new ItemWriter();
    writeWanted(writer, wish);
    const bytes = writer.take();
    t.deepEqual([...readWanted(bytes, 5)], [wish]);
    refusesTruncated(t, bytes, (part) => [...readWanted(part, 5)], 1);
    t.throws(() => [...readWanted(bytes, wish.number)], { instanceOf: FormatError });
  }
});

test('pieces that are no pieces are refused', (t) => {
  const fixed = (size: number, byteCount: number) =>
    new ItemWriter().count(0).byte(1).count(size).count(byteCount).take();
  const cut = (...numbers: number[]) => {
    const writer = new ItemWriter().count(0).byte(2);
    for (const number of numbers) writer.count(number);
    return writer.take();
  };
  for (const bytes of [
    fixed(0, 10),
    fixed(1, 2 ** 40),
    fixed(2 ** 30, 1),
    cut(100, 50, 200, 0),
    cut(64, 64, 64, 0),
    cut(1, 2, 3, 0),
    cut(64, 128, 2 ** 30, 0),
    cut(64, 128, 256, 2 ** 30),
    cut(64, 128, 256, 1, 257),
    Uint8Array.of(0, 3),
  ]) {
    t.throws(() => [...readWanted(bytes, 1)], { instanceOf: FormatError });
  }
});

test('parts of contents are read as they were written', (t) => {
  const items: ContentItem[] = [
    { kind: 'data', bytes: asciiBytes('bytes') },
    { kind: 'copy', offset: 90, length: 8 },
    { kind: 'copy', offset: 110, length: 8 },
    { kind: 'copy', offset: 100, length: 8 },
    { kind: 'zeros', length: 2 ** 40 },
    { kind: 'end', digest: new Uint8Array(16).fill(4) },
    { kind: 'unavailable' },
  ];
  for (const item of items) {
    const writer = new ItemWriter();
    writeContent(writer, item, 100);
    const bytes = writer.take();
    t.deepEqual(readContent(new ItemReader('x', bytes), 100), item);
    refusesTruncated(t, bytes, (part) => readContent(new ItemReader('x', part), 100));
  }
  t.throws(() => readContent(new ItemReader('x', Uint8Array.of(6)), 0), {
    instanceOf: FormatError,
  });
});

test('digests of large files have that of their begin', (t) => {
  const digest = new Uint8Array(16).fill(8);
  for (const [item, size] of [
    [{ digest }, 65_535],
    [{ digest, head: 0xdeadbeef }, 65_536],
    [undefined, 5],
  ] as const) {
    const writer = new ItemWriter();
    writeDigest(writer, item);
    t.deepEqual(readDigest(new ItemReader('x', writer.take()), size), item);
  }
  t.throws(() => readDigest(new ItemReader('x', Uint8Array.of(2)), 5), {
    instanceOf: FormatError,
  });
});

test('the last message is complete or refused', (t) => {
  const done = { root: new Uint8Array(32).fill(7), isComplete: false, counts: COUNTS };
  const bytes = encodeDone(done);
  t.deepEqual(decodeDone(bytes), done);
  refusesTruncated(t, bytes, decodeDone);
  t.throws(() => decodeDone(Uint8Array.of(...bytes, 0)), { instanceOf: FormatError });
});

test('what opens a session is read as it was written', (t) => {
  const push = {
    path: asciiBytes('/a/b'),
    keepsExtra: true,
    undoesImmutable: false,
    isDryRun: true,
    checks: false,
    keepsZeros: true,
    avoidsReflinks: false,
    avoidsSync: true,
  };
  t.deepEqual(decodePushTree(encodePushTree(push)), push);
  const pull = { path: asciiBytes('x'), featureFlags: new Uint8Array(8).fill(1) };
  t.deepEqual(decodePullTree(encodePullTree(pull)), pull);
  for (const path of [new Uint8Array(0), Uint8Array.of(0x61, 0)]) {
    t.throws(() => decodePushTree(encodePushTree({ ...push, path })), {
      instanceOf: FormatError,
    });
  }
});
