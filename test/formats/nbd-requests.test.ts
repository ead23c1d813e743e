/** NBD requests from bytes, and what is wrong with them (spec/nbd.md, "Protocol"). */
import test from 'ava';
import fc from 'fast-check';
import {
  faultOfNbdRequest,
  type NbdRequest,
  NbdRequestParser,
  type NbdRequestRules,
} from '../../formats/nbd-requests.ts';
import { nbdBytes, nbdRequest } from '../helpers/nbd-bytes.ts';

const CMD = { read: 0, write: 1, disc: 2, flush: 3, trim: 4, cache: 5, zeroes: 6, status: 7 };
const FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 };
const ERR = { EPERM: 1, EINVAL: 22, ENOSPC: 28 };
const MAX = 32 * 1024 * 1024;

/** Requests as text, with the data of writes joined. */
function parse(input: Uint8Array, portion = input.length): readonly string[] {
  const parser = new NbdRequestParser();
  const seen: string[] = [];
  let data: Buffer[] = [];
  const endData = () => {
    if (data.length > 0) seen.push(`data ${Buffer.concat(data).toString('hex')}`);
    data = [];
  };
  for (let at = 0; at < input.length; at += portion) {
    parser.feed(input.subarray(at, at + portion));
    for (let event = parser.next(); event !== undefined; event = parser.next()) {
      if (event.type === 'data') {
        data.push(Buffer.from(event.bytes));
        continue;
      }
      endData();
      if (event.type === 'broken') seen.push('broken');
      else {
        const { command, flags, cookie, offset, length } = event.request;
        const name = Buffer.from(cookie).toString('hex');
        seen.push(`${command} ${flags} ${name} ${offset} ${length}`);
      }
    }
  }
  endData();
  return seen;
}

test('a request is read field by field', (t) => {
  const bytes = nbdBytes(
    [32, 0x25609513],
    [16, 0x0102],
    [16, 0x0304],
    [64, 0x1122334455667788n],
    [64, 0x0001_0002_0003_0004],
    [32, 0xfffefdfc],
  );
  t.deepEqual(parse(bytes), [`772 258 1122334455667788 ${0x0001_0002_0003_0004} 4294901244`]);
});

test('an offset beyond 2^53 is infinite', (t) => {
  const [first] = parse(nbdRequest({ command: CMD.read, offset: 0x20_0000_0000_0000n, length: 1 }));
  t.true(first.includes(' Infinity '));
});

test('only a write is followed by data', (t) => {
  const write = nbdRequest({ command: CMD.write, data: Buffer.from('abc'), cookie: 7n });
  const trim = nbdRequest({ command: CMD.trim, length: 3, cookie: 8n });
  t.deepEqual(parse(Buffer.concat([write, trim, write])), [
    '1 0 0000000000000007 0 3',
    'data 616263',
    '4 0 0000000000000008 0 3',
    '1 0 0000000000000007 0 3',
    'data 616263',
  ]);
});

test('a wrong magic number is the end', (t) => {
  const read = nbdRequest({ command: CMD.read, length: 1 });
  for (let i = 0; i < 4; i++) {
    const wrong = Buffer.from(read);
    wrong[i] ^= 0x80;
    t.deepEqual(parse(Buffer.concat([wrong, read])), ['broken']);
  }
});

test('it does not matter where the bytes are cut', (t) => {
  const input = Buffer.concat([
    nbdRequest({ command: CMD.read, length: 9, cookie: 1n }),
    nbdRequest({ command: CMD.write, offset: 5, data: Buffer.alloc(100, 3), cookie: 2n }),
    nbdRequest({ command: CMD.write, cookie: 3n }),
    nbdRequest({ command: CMD.disc, cookie: 4n }),
  ]);
  const whole = parse(input);
  t.is(whole.length, 5);
  for (let size = 1; size < input.length; size++) t.deepEqual(parse(input, size), whole);
});

test('no bytes make it throw', (t) => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc
      .record({ command: fc.nat(9), flags: fc.nat(40), offset: fc.nat(), length: fc.nat(500) })
      .map((fields) => nbdRequest(fields)),
  );
  fc.assert(
    fc.property(fc.array(part), fc.integer({ min: 1, max: 100 }), (parts, portion) => {
      const input = Buffer.concat(parts);
      return parse(input, portion).length <= input.length / 28 + 3;
    }),
    { numRuns: 500, verbose: 1 },
  );
  t.pass();
});

const RULES: NbdRequestRules = {
  size: 100_000_000,
  isWritable: true,
  isStructured: true,
  hasAllocation: true,
};

function errorOf(
  fields: Partial<Omit<NbdRequest, 'cookie'>>,
  rules: Partial<NbdRequestRules> = {},
): number | undefined {
  const request = { command: 0, flags: 0, offset: 0, length: 512, cookie: new Uint8Array(8) };
  return faultOfNbdRequest({ ...request, ...fields }, { ...RULES, ...rules })?.error;
}

test('every command takes its own flags, and FUA, and no others', (t) => {
  const own = new Map([
    [CMD.read, FLAG.df],
    [CMD.write, 0],
    [CMD.flush, 0],
    [CMD.trim, 0],
    [CMD.cache, 0],
    [CMD.zeroes, FLAG.noHole | FLAG.fastZero],
    [CMD.status, FLAG.reqOne],
  ]);
  for (const [command, allowed] of own) {
    const length = command === CMD.flush ? 0 : 512;
    for (const flags of [...Object.values(FLAG), 32, 0x8000]) {
      const expected = (flags & (allowed | FLAG.fua)) !== 0 ? undefined : ERR.EINVAL;
      t.is(errorOf({ command, flags, length }), expected, `command ${command}, flags ${flags}`);
    }
  }
});

test('DF is of use only for structured answers', (t) => {
  t.is(errorOf({ command: CMD.read, flags: FLAG.df }, { isStructured: false }), ERR.EINVAL);
});

test('unknown commands are invalid', (t) => {
  for (const command of [8, 9, 0xffff]) t.is(errorOf({ command }), ERR.EINVAL);
});

test('nothing may be written to a read-only export', (t) => {
  for (const command of [CMD.write, CMD.trim, CMD.zeroes]) {
    t.is(errorOf({ command }, { isWritable: false }), ERR.EPERM);
  }
  t.is(errorOf({ command: CMD.flush, length: 0 }, { isWritable: false }), undefined);
});

test('behind the end there is no space to write, and nothing to read', (t) => {
  const ends = [
    { offset: RULES.size, length: 1 },
    { offset: RULES.size - 1, length: 2 },
    { offset: Number.POSITIVE_INFINITY, length: 1 },
  ];
  for (const range of ends) {
    for (const command of [CMD.write, CMD.zeroes]) t.is(errorOf({ command, ...range }), ERR.ENOSPC);
    for (const command of [CMD.read, CMD.trim, CMD.cache, CMD.status]) {
      t.is(errorOf({ command, ...range }), ERR.EINVAL);
    }
  }
  t.is(errorOf({ command: CMD.read, offset: RULES.size - 1, length: 1 }), undefined);
});

test('at most 32 MiB are read or written at a time; other ranges may be longer', (t) => {
  for (const command of [CMD.read, CMD.write]) {
    t.is(errorOf({ command, length: MAX }), undefined);
    t.is(errorOf({ command, length: MAX + 1 }), ERR.EINVAL);
  }
  for (const command of [CMD.trim, CMD.zeroes, CMD.cache, CMD.status]) {
    t.is(errorOf({ command, length: RULES.size }), undefined);
  }
});

test('nothing may be read or written in no time, but there is no status of nothing', (t) => {
  for (const command of [CMD.read, CMD.write, CMD.trim, CMD.zeroes, CMD.cache]) {
    t.is(errorOf({ command, length: 0 }), undefined);
  }
  t.is(errorOf({ command: CMD.status, length: 0 }), ERR.EINVAL);
});

test('status needs a context, and flush no range', (t) => {
  t.is(errorOf({ command: CMD.status }, { hasAllocation: false }), ERR.EINVAL);
  t.is(errorOf({ command: CMD.flush, length: 1 }), ERR.EINVAL);
  t.is(errorOf({ command: CMD.flush, length: 0, offset: 1 }), ERR.EINVAL);
});
