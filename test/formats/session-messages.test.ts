import test from 'ava';
import fc from 'fast-check';
import { CasError, FormatError } from '../../formats/errors.ts';
import { Fields, FieldWriter } from '../../formats/session-fields.ts';
import { decodeHello } from '../../formats/session-hello.ts';
import {
  decodeAskLevel,
  decodeAskReading,
  decodeData,
  decodeDestination,
  decodeDone,
  decodeEnd,
  decodeNumbered,
  decodeSource,
  encodeAskLevel,
  encodeAskReading,
  encodeData,
  encodeDestination,
  encodeDone,
  encodeEnd,
  encodeNumbered,
  encodeSource,
} from '../../formats/session-images.ts';
import { decodePull, decodePush, encodePull, encodePush } from '../../formats/session-open.ts';
import { decodeRuns, encodeRuns } from '../../formats/session-runs.ts';
import { decodeFailure, encodeFailure } from '../../lib/images/session/session-text.ts';

const ROOT = new Uint8Array(32).fill(7);
const RUNS = [
  { first: 0, count: 1, isZero: false },
  { first: 1, count: 300, isZero: true },
  { first: 2 ** 40, count: 2, isZero: false },
];
const PUSH = {
  path: Uint8Array.of(47, 120),
  name: Uint8Array.of(110),
  isDryRun: true,
  sizePolicy: 'larger-ok',
  map: Uint8Array.of(109),
  blockSize: 4096,
  digest: 'blake2b-256',
  isChecked: true,
  sparse: 'never',
  discards: true,
  forcesDevice: true,
  batch: 65_536,
  fsync: 'end',
  verify: 'written',
  noCache: true,
} as const;
const PULL = {
  path: Uint8Array.of(120),
  skipsUnreadable: true,
  snapshot: 'reflink',
  noCache: true,
} as const;
const DESTINATION = {
  blockSize: 4096,
  digest: 'sha512-256',
  size: 2 ** 40 + 1,
  takenSize: 5,
  root: ROOT,
} as const;
const END = { size: 9, root: ROOT, sourceChange: Uint8Array.of(65), unreadableBytes: 0 };
const DONE = { root: ROOT, writtenBytes: 1, holeBytes: 2, readBytes: 3 };
const ASK = {
  level: 3,
  digestLength: 16,
  nodes: RUNS.map(({ first, count }) => ({ first, count })),
};

/** Every message, encoded, with its decoder. */
const MESSAGES: readonly (readonly [string, Uint8Array, (content: Uint8Array) => unknown])[] = [
  ['push', encodePush(PUSH), decodePush],
  ['pull', encodePull(PULL), decodePull],
  ['source', encodeSource({ size: 77 }), decodeSource],
  ['destination', encodeDestination(DESTINATION), decodeDestination],
  ['ask level', encodeAskLevel(ASK), decodeAskLevel],
  ['ask reading', encodeAskReading({ digestLength: 8, segmentBlocks: 99 }), decodeAskReading],
  ['numbered', encodeNumbered(2 ** 33, ROOT), (content) => decodeNumbered('SEGMENT', content)],
  [
    'data',
    encodeData({ runs: RUNS, digests: new Uint8Array(96), bytes: new Uint8Array(3000) }),
    (content) => decodeData(content, 1024),
  ],
  ['end', encodeEnd(END), decodeEnd],
  ['done', encodeDone(DONE), decodeDone],
  [
    'failure',
    encodeFailure(new CasError('IO', { subject: 'a', step: 'b', reason: 'c', retry: 'later' })),
    (content) => decodeFailure(content, 'far'),
  ],
];

test('messages come out as they went in', (t) => {
  t.deepEqual(decodePush(encodePush(PUSH)), PUSH);
  t.deepEqual(decodePull(encodePull(PULL)), PULL);
  t.deepEqual(decodeSource(encodeSource({ size: undefined })), { size: undefined });
  t.deepEqual(decodeDestination(encodeDestination(DESTINATION)), DESTINATION);
  t.deepEqual(decodeAskLevel(encodeAskLevel(ASK)), ASK);
  t.deepEqual(decodeEnd(encodeEnd(END)), END);
  t.deepEqual(decodeDone(encodeDone(DONE)), DONE);
  t.deepEqual(decodeNumbered('SEGMENT', encodeNumbered(2 ** 33, ROOT)), {
    number: 2 ** 33,
    bytes: ROOT,
  });
  const data = encodeData({
    runs: RUNS,
    digests: new Uint8Array(96).fill(1),
    bytes: new Uint8Array(2500).fill(2),
  });
  const { runs, digests, bytes } = decodeData(data, 1024);
  t.deepEqual(runs, RUNS);
  t.deepEqual([digests.length, bytes.length], [96, 2500]);
});

test('messages that end early or are harmed are refused or mean something, and never break', (t) => {
  for (const [name, content, decode] of MESSAGES) {
    const attempt = (harmed: Uint8Array): void => {
      try {
        decode(harmed);
      } catch (error) {
        t.true(error instanceof FormatError, `${name}: ${error}`);
      }
    };
    for (let length = 0; length < content.length; length++) attempt(content.slice(0, length));
    for (let bit = 0; bit < Math.min(content.length, 200) * 8; bit++) {
      const harmed = content.slice();
      harmed[bit >> 3] ^= 1 << (bit & 7);
      attempt(harmed);
    }
  }
});

test('runs come out as they went in, and anything else is refused', (t) => {
  const gaps = fc.array(
    fc.record({
      gap: fc.integer({ min: 0, max: 2 ** 31 }),
      count: fc.integer({ min: 1, max: 2 ** 31 }),
      flag: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(gaps, (given) => {
      let end = 0;
      const runs = given.map(({ gap, count }) => {
        const first = end + gap;
        end = first + count;
        return { first, count };
      });
      const content = encodeRuns(runs, (i) => given[i].flag);
      const found = decodeRuns(content, 0);
      t.deepEqual(found.runs, runs);
      t.deepEqual(
        found.flags,
        given.map(({ flag }) => flag),
      );
      t.is(found.end, content.length);
    }),
    { verbose: true },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        decodeRuns(bytes, 0);
      } catch (error) {
        t.true(error instanceof FormatError);
      }
    }),
    { verbose: true },
  );
});

test('what must be understood is refused where it is not known, the rest is skipped', (t) => {
  const later = new FieldWriter().number(9, 1).finish();
  t.deepEqual(decodeSource(later), { size: undefined });
  const vital = new FieldWriter().number(140, 1).finish();
  t.throws(() => decodeSource(vital), { message: /newer casync is needed/ });
  const twice = new FieldWriter().number(1, 1).number(1, 2).finish();
  t.throws(() => new Fields('TEST', twice, []), { instanceOf: FormatError });
});

test('both sides speak the newest version that both know', (t) => {
  const hello = (oldest: number, newest: number) => {
    const content = new Uint8Array(8);
    new DataView(content.buffer).setUint32(0, oldest, true);
    new DataView(content.buffer).setUint32(4, newest, true);
    return content;
  };
  t.is(decodeHello(hello(1, 1)), 1);
  t.is(decodeHello(hello(1, 9)), 1);
  t.throws(() => decodeHello(hello(2, 9)), { message: /speaks versions 2 to 9, this one 1/ });
});

test('who was interrupted there does not interrupt us', (t) => {
  const failure = encodeFailure(new CasError('ABORTED', { reason: 'interrupted' }));
  t.is(decodeFailure(failure, 'far').code, 'UNAVAILABLE');
});
