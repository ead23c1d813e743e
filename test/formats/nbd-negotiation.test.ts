/** The negotiation of the NBD server (spec/nbd.md, "Protocol"). */
import test from 'ava';
import fc from 'fast-check';
import { NbdNegotiation } from '../../formats/nbd-negotiation.ts';
import {
  CLIENT_FLAGS,
  GREETING,
  nbdBytes,
  nbdContextRequest,
  nbdInfoRequest,
  nbdOption,
  nbdOptionReply,
} from '../helpers/nbd-bytes.ts';

const EXPORT = {
  name: Buffer.from('disk'),
  description: Buffer.from('a disk'),
  size: 1_000_001,
  isWritable: false,
};
/** Flags of a read-only export: HAS_FLAGS, READ_ONLY, FLUSH, FUA, MULTI_CONN, CACHE. */
const READ_ONLY = 0b101_0000_1111;
/** Flags of a writable one: also TRIM, WRITE_ZEROES, FAST_ZERO. */
const WRITABLE = 0b1101_0110_1101;
const DF = 0x80;
const OPT = {
  name: 1,
  abort: 2,
  list: 3,
  tls: 5,
  info: 6,
  go: 7,
  structured: 8,
  listMeta: 9,
  setMeta: 10,
};
const ACK = 1;
const UNSUPPORTED = 0x8000_0001;
const INVALID = 0x8000_0003;
const UNKNOWN = 0x8000_0006;
const TOO_BIG = 0x8000_0009;
const BLOCK_SIZES = nbdBytes([16, 3], [32, 1], [32, 65536], [32, 33554432]);
const MALFORMED = 'malformed option';

function negotiate(input: Uint8Array, described = EXPORT, portions = input.length) {
  const negotiation = new NbdNegotiation(described);
  const answers: Uint8Array[] = [];
  for (let at = 0; at < input.length; at += portions) {
    answers.push(...negotiation.feed(input.subarray(at, at + portions)));
    if (negotiation.state !== 'open') {
      const rest = Buffer.concat([negotiation.rest(), input.subarray(at + portions)]);
      return { negotiation, rest, answers: Buffer.concat(answers) };
    }
  }
  return { negotiation, rest: Buffer.alloc(0), answers: Buffer.concat(answers) };
}

function options(...list: readonly Uint8Array[]): Buffer {
  return Buffer.concat([CLIENT_FLAGS, ...list]);
}

function exportInfo(flags: number): Buffer {
  return nbdBytes([16, 0], [64, EXPORT.size], [16, flags]);
}

test('the greeting offers the fixed newstyle without zeros', (t) => {
  t.deepEqual(Buffer.from(new NbdNegotiation(EXPORT).greeting), GREETING);
});

test('the oldest option is answered with size and flags', (t) => {
  const { negotiation, answers } = negotiate(options(nbdOption(OPT.name, Buffer.from('disk'))));
  t.is(negotiation.state, 'agreed');
  t.deepEqual(answers, nbdBytes([64, EXPORT.size], [16, READ_ONLY]));
  t.deepEqual(negotiation.agreement, { isStructured: false, hasAllocation: false });
});

test('a client that does not refuse zeros gets 124 of them', (t) => {
  const { answers } = negotiate(nbdBytes([32, 1], nbdOption(OPT.name)));
  t.deepEqual(answers, nbdBytes([64, EXPORT.size], [16, READ_ONLY], Buffer.alloc(124)));
});

test('a client of the first newstyle can choose an export, and nothing else', (t) => {
  t.is(negotiate(nbdBytes([32, 0], nbdOption(OPT.name))).negotiation.state, 'agreed');
  t.is(negotiate(nbdBytes([32, 0], nbdOption(OPT.list))).negotiation.state, 'broken');
});

test('the oldest option with another name ends the connection', (t) => {
  const { negotiation, answers } = negotiate(options(nbdOption(OPT.name, Buffer.from('disc'))));
  t.is(negotiation.state, 'broken');
  t.is(answers.length, 0);
});

test('GO answers with what is asked for, and requests follow', (t) => {
  const go = nbdOption(OPT.go, nbdInfoRequest('disk', [1, 2, 3, 99]));
  const { negotiation, answers, rest } = negotiate(options(go, Buffer.from('requests')));
  t.is(negotiation.state, 'agreed');
  t.deepEqual(
    answers,
    Buffer.concat([
      nbdOptionReply(OPT.go, 3, exportInfo(READ_ONLY)),
      nbdOptionReply(OPT.go, 3, BLOCK_SIZES),
      nbdOptionReply(OPT.go, 3, nbdBytes([16, 1], 'disk')),
      nbdOptionReply(OPT.go, 3, nbdBytes([16, 2], 'a disk')),
      nbdOptionReply(OPT.go, ACK),
    ]),
  );
  t.is(rest.toString(), 'requests');
});

test('INFO answers as GO does, and the negotiation goes on', (t) => {
  const { negotiation, answers } = negotiate(options(nbdOption(OPT.info, nbdInfoRequest(''))));
  t.is(negotiation.state, 'open');
  t.deepEqual(
    answers,
    Buffer.concat([
      nbdOptionReply(OPT.info, 3, exportInfo(READ_ONLY)),
      nbdOptionReply(OPT.info, 3, BLOCK_SIZES),
      nbdOptionReply(OPT.info, ACK),
    ]),
  );
});

test('a writable export offers all that writes; structured answers offer DF', (t) => {
  const { answers } = negotiate(
    options(nbdOption(OPT.structured), nbdOption(OPT.name, Buffer.from('disk'))),
    { ...EXPORT, isWritable: true },
  );
  t.deepEqual(
    answers,
    Buffer.concat([
      nbdOptionReply(OPT.structured, ACK),
      nbdBytes([64, EXPORT.size], [16, WRITABLE | DF]),
    ]),
  );
});

test('an unknown export is refused, and another may be asked for', (t) => {
  const { negotiation, answers } = negotiate(
    options(nbdOption(OPT.go, nbdInfoRequest('x')), nbdOption(OPT.go, nbdInfoRequest('disk'))),
  );
  const refusal = nbdOptionReply(OPT.go, UNKNOWN, 'no export of this name');
  t.deepEqual(answers.subarray(0, refusal.length), refusal);
  t.is(negotiation.state, 'agreed');
});

test('LIST names the export and describes it', (t) => {
  const { answers } = negotiate(options(nbdOption(OPT.list)));
  t.deepEqual(
    answers,
    Buffer.concat([
      nbdOptionReply(OPT.list, 2, nbdBytes([32, 4], 'disk', 'a disk')),
      nbdOptionReply(OPT.list, ACK),
    ]),
  );
});

test('ABORT is acknowledged, also with data, and is the end', (t) => {
  const { negotiation, answers } = negotiate(options(nbdOption(OPT.abort, Buffer.from('bye'))));
  t.deepEqual(answers, nbdOptionReply(OPT.abort, ACK));
  t.is(negotiation.state, 'ended');
});

test('TLS and unknown options are refused, and the negotiation goes on', (t) => {
  for (const option of [OPT.tls, 4, 11, 0, 0xffff_ffff]) {
    const { negotiation, answers } = negotiate(options(nbdOption(option)));
    t.deepEqual(answers, nbdOptionReply(option, UNSUPPORTED, 'not supported'));
    t.is(negotiation.state, 'open');
  }
});

test('options that take no data are refused with it', (t) => {
  for (const option of [OPT.tls, OPT.list, OPT.structured]) {
    const { answers, negotiation } = negotiate(options(nbdOption(option, Buffer.from('x'))));
    t.deepEqual(answers, nbdOptionReply(option, INVALID, MALFORMED));
    t.false(negotiation.agreement.isStructured);
  }
});

test('broken data of an option is refused', (t) => {
  const context = nbdContextRequest('disk', ['base:allocation']);
  const cases: readonly (readonly [number, Uint8Array])[] = [
    [OPT.go, Buffer.alloc(0)],
    [OPT.go, nbdBytes([32, 5], 'disk', [16, 0])],
    [OPT.go, nbdBytes([32, 0xffff_ffff], 'disk', [16, 0])],
    [OPT.go, nbdBytes([32, 4], 'disk', [16, 2], [16, 0])],
    [OPT.info, nbdBytes(nbdInfoRequest('disk'), [8, 0])],
    [OPT.setMeta, context.subarray(0, -1)],
    [OPT.setMeta, Buffer.concat([context, Buffer.alloc(1)])],
    [OPT.listMeta, nbdBytes([32, 4], 'disk', [32, 0xffff_ffff])],
  ];
  for (const [option, data] of cases) {
    const { answers } = negotiate(options(nbdOption(OPT.structured), nbdOption(option, data)));
    const first = nbdOptionReply(OPT.structured, ACK).length;
    t.deepEqual(answers.subarray(first), nbdOptionReply(option, INVALID, MALFORMED));
  }
});

test('names longer than 4096 bytes are too big', (t) => {
  const go = nbdOption(OPT.go, nbdInfoRequest('x'.repeat(4097)));
  t.deepEqual(negotiate(options(go)).answers, nbdOptionReply(OPT.go, TOO_BIG, 'too much data'));
});

test('contexts are listed by name, by namespace, and without a query', (t) => {
  const found = Buffer.concat([
    nbdOptionReply(OPT.listMeta, 4, nbdBytes([32, 0], 'base:allocation')),
    nbdOptionReply(OPT.listMeta, ACK),
  ]);
  for (const queries of [[], ['base:'], ['x-own:y', 'base:allocation']]) {
    const option = nbdOption(OPT.listMeta, nbdContextRequest('disk', queries));
    t.deepEqual(negotiate(options(option)).answers, found);
  }
  const other = nbdOption(OPT.listMeta, nbdContextRequest('disk', ['base:other', 'qemu:']));
  t.deepEqual(negotiate(options(other)).answers, nbdOptionReply(OPT.listMeta, ACK));
});

function chooseContext(chosenFor: string, queries: readonly string[], chosen: string): boolean {
  const { negotiation } = negotiate(
    options(
      nbdOption(OPT.structured),
      nbdOption(OPT.setMeta, nbdContextRequest(chosenFor, queries)),
      nbdOption(OPT.go, nbdInfoRequest(chosen)),
    ),
  );
  return negotiation.agreement.hasAllocation;
}

test('a context counts if it was chosen by its full name, for the export that is chosen', (t) => {
  t.true(chooseContext('disk', ['base:allocation'], 'disk'));
  t.true(chooseContext('', ['x:y', 'base:allocation', 'base:allocation'], ''));
  t.false(chooseContext('disk', ['base:'], 'disk'));
  t.false(chooseContext('disk', [], 'disk'));
  t.false(chooseContext('', ['base:allocation'], 'disk'));
  t.false(chooseContext('other', ['base:allocation'], 'disk'));
});

test('a context that was chosen is forgotten when the next choice fails', (t) => {
  const { negotiation } = negotiate(
    options(
      nbdOption(OPT.structured),
      nbdOption(OPT.setMeta, nbdContextRequest('disk', ['base:allocation'])),
      nbdOption(OPT.setMeta, Buffer.alloc(3)),
      nbdOption(OPT.go, nbdInfoRequest('disk')),
    ),
  );
  t.false(negotiation.agreement.hasAllocation);
});

test('a context cannot be chosen without structured answers', (t) => {
  const choice = nbdOption(OPT.setMeta, nbdContextRequest('disk', ['base:allocation']));
  const { answers } = negotiate(options(choice));
  t.deepEqual(answers, nbdOptionReply(OPT.setMeta, INVALID, MALFORMED));
});

test('unknown client flags and a wrong magic number end the connection', (t) => {
  t.is(negotiate(nbdBytes([32, 7])).negotiation.state, 'broken');
  const option = nbdOption(OPT.list);
  for (let i = 0; i < 8; i++) {
    const wrong = Buffer.from(option);
    wrong[i] ^= 1;
    t.is(negotiate(options(wrong)).negotiation.state, 'broken');
  }
});

test('too much data is refused, not kept, and skipped', (t) => {
  const length = 10_000_000;
  const negotiation = new NbdNegotiation(EXPORT);
  const head = nbdBytes('IHAVEOPT', [32, OPT.go], [32, length]);
  const [refusal] = negotiation.feed(Buffer.concat([CLIENT_FLAGS, head]));
  t.deepEqual(Buffer.from(refusal), nbdOptionReply(OPT.go, TOO_BIG, 'too much data'));
  const portion = new Uint8Array(1_000_000);
  for (let i = 0; i < 10; i++) t.deepEqual(negotiation.feed(portion), []);
  t.deepEqual(
    Buffer.concat(negotiation.feed(nbdOption(OPT.abort))),
    nbdOptionReply(OPT.abort, ACK),
  );
});

test('an endless negotiation is ended', (t) => {
  const many = Array.from({ length: 129 }, () => nbdOption(OPT.list));
  const { negotiation, answers } = negotiate(options(...many));
  t.is(negotiation.state, 'broken');
  t.true(answers.length < 129 * 100);
});

test('it does not matter where the bytes are cut', (t) => {
  const input = options(
    nbdOption(OPT.tls),
    nbdOption(OPT.structured),
    nbdOption(OPT.setMeta, nbdContextRequest('disk', ['base:allocation'])),
    nbdOption(99, Buffer.alloc(70_000)),
    nbdOption(OPT.list, Buffer.from('x')),
    nbdOption(OPT.go, nbdInfoRequest('disk', [1, 2, 3])),
    Buffer.from('and requests'),
  );
  const whole = negotiate(input);
  t.true(whole.negotiation.agreement.hasAllocation);
  for (const size of [1, 2, 3, 5, 7, 17, 64, 70_001]) {
    const cut = negotiate(input, EXPORT, size);
    t.deepEqual(cut.answers, whole.answers, `portions of ${size}`);
    t.is(cut.rest.toString(), 'and requests');
    t.deepEqual(cut.negotiation.agreement, whole.negotiation.agreement);
  }
  const small = options(nbdOption(OPT.structured), nbdOption(OPT.go, nbdInfoRequest('disk')));
  const expected = negotiate(small).answers;
  for (let at = 1; at < small.length; at++) {
    const negotiation = new NbdNegotiation(EXPORT);
    const answers = [small.subarray(0, at), small.subarray(at)].flatMap((part) => [
      ...negotiation.feed(part),
    ]);
    t.deepEqual(Buffer.concat(answers), expected, `cut at ${at}`);
  }
});

test('no bytes make it throw, or answer without bound', (t) => {
  const option = fc
    .tuple(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 60 }))
    .map(([type, data]) => nbdOption(type, data));
  const garbage = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(
      fc.array(fc.oneof(option, garbage), { maxLength: 40 }),
      fc.integer({ min: 1, max: 300 }),
      (parts, portion) => {
        const input = options(...parts);
        const { answers } = negotiate(input, EXPORT, portion);
        return answers.length <= 400 * (parts.length + 1);
      },
    ),
    { numRuns: 500, verbose: 1 },
  );
  t.pass();
});
