import test from 'ava';
import fc from 'fast-check';
import {
  copyOfFuseRequest,
  type FuseRequest,
  isSameUnique,
  parseAttributeName,
  parseAttributeRoom,
  parseForgotten,
  parseFuseRequest,
  parseInterrupt,
  parseIoctl,
  parseName,
  parseRead,
  parseSeek,
} from '../../formats/fuse-requests.ts';
import { readRequest, request, text, u32, u64 } from '../helpers/fuse-bytes.ts';

/** LOOKUP of `ab` in inode 0x1122334455, as it lies in memory. */
const LOOKUP = Buffer.from(
  [
    '2b000000 01000000 f0debc9a78563412 5544332211000000',
    'e8030000 e9030000 67120000 0000 0000 616200',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

function latin(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('latin1');
}

function parsed(bytes: Uint8Array): FuseRequest {
  const found = parseFuseRequest(bytes, bytes.length);
  if (found === undefined) throw new Error('no request');
  return found;
}

test('a header gives opcode, inode and all 64 bits of the id', (t) => {
  const { opcode, unique, inode, length } = parsed(LOOKUP);
  t.deepEqual(
    { opcode, unique, inode, length },
    {
      opcode: 1,
      unique: { low: 0x9abcdef0, high: 0x12345678 },
      inode: 0x1122334455,
      length: 43,
    },
  );
});

test('a request may lie in memory that is longer', (t) => {
  const memory = Buffer.concat([LOOKUP, Buffer.from('more')]);
  const found = parseFuseRequest(memory, LOOKUP.length);
  t.is(found && latin(parseName(found)), 'ab');
});

test('what is shorter than a header, or says another length than it has, is no request', (t) => {
  t.is(parseFuseRequest(LOOKUP, 39), undefined);
  t.is(parseFuseRequest(LOOKUP, 42), undefined);
  t.is(parseFuseRequest(new Uint8Array(0), 0), undefined);
});

test('an inode number beyond 2^53 is none', (t) => {
  t.is(parsed(request({ opcode: 3, inode: 2n ** 53n })).inode, Number.POSITIVE_INFINITY);
  t.is(parsed(request({ opcode: 3, inode: 2n ** 53n - 1n })).inode, 2 ** 53 - 1);
});

test('ids are equal only if all bits are', (t) => {
  t.true(isSameUnique({ low: 1, high: 2 }, { low: 1, high: 2 }));
  t.false(isSameUnique({ low: 1, high: 2 }, { low: 1, high: 3 }));
  t.false(isSameUnique({ low: 1, high: 2 }, { low: 0, high: 2 }));
});

test('a copy does not change with the memory it was made of', (t) => {
  const memory = Buffer.from(LOOKUP);
  const copy = copyOfFuseRequest(parsed(memory));
  memory.fill(0xff);
  t.is(latin(parseName(copy)), 'ab');
});

test('a name ends with the only NUL, at the end of the request', (t) => {
  const name = (bytes: string): string | undefined =>
    latin(parseName(parsed(request({ opcode: 1 }, text(bytes)))));
  t.is(name('x\0'), 'x');
  for (const bytes of ['', '\0', 'x', 'x\0y', 'x\0y\0', 'x\0\0'])
    t.is(name(bytes), undefined, bytes);
});

test('READ gives offset and size', (t) => {
  const asked = parseRead(parsed(readRequest({ opcode: 15 }, 2 ** 40 + 3, 131072)));
  t.deepEqual(asked, { offset: 2 ** 40 + 3, size: 131072 });
});

test('READ is refused if it is cut off, beyond 2^53 or for too many bytes', (t) => {
  const whole = readRequest({ opcode: 15 }, 0, 4096);
  const cut = request({ opcode: 15 }, whole.subarray(40, whole.length - 1));
  t.is(parseRead(parsed(cut)), undefined);
  t.is(parseRead(parsed(readRequest({ opcode: 15 }, 2n ** 53n, 1))), undefined);
  t.is(parseRead(parsed(readRequest({ opcode: 15 }, 2n ** 64n - 1n, 1))), undefined);
  t.is(parseRead(parsed(readRequest({ opcode: 15 }, 0, 2 ** 22 + 1))), undefined);
});

test('GETXATTR gives the room for the value, and the name', (t) => {
  const asked = parsed(request({ opcode: 22 }, u32(64), u32(0), text('user.a\0')));
  t.is(parseAttributeRoom(asked), 64);
  t.is(latin(parseAttributeName(asked)), 'user.a');
  t.is(parseAttributeRoom(parsed(request({ opcode: 23 }, u32(64)))), undefined);
  t.is(parseAttributeName(parsed(request({ opcode: 22 }, u32(64), u32(0)))), undefined);
});

test('IOCTL gives the command and the bytes it wants', (t) => {
  const body = [u64(0), u32(0), u32(0x8008_6601), u64(0x7fff_0000), u32(0), u32(8)];
  t.deepEqual(parseIoctl(parsed(request({ opcode: 39 }, ...body))), {
    command: 0x8008_6601,
    outSize: 8,
  });
  t.is(parseIoctl(parsed(request({ opcode: 39 }, ...body.slice(0, 5)))), undefined);
});

test('LSEEK gives offset and direction', (t) => {
  const asked = (offset: bigint): unknown =>
    parseSeek(parsed(request({ opcode: 46 }, u64(0), u64(offset), u32(3), u32(0))));
  t.deepEqual(asked(7n), { offset: 7, whence: 3 });
  t.is(asked(2n ** 63n), undefined);
  t.is(parseSeek(parsed(request({ opcode: 46 }, u64(0), u64(0)))), undefined);
});

test('INTERRUPT gives the id it is about', (t) => {
  const asked = parsed(request({ opcode: 36, unique: 5 }, u64(0x1_0000_0004n)));
  t.deepEqual(parseInterrupt(asked), { low: 4, high: 1 });
  t.is(parseInterrupt(parsed(request({ opcode: 36 }))), undefined);
});

test('FORGET gives one inode and how often it was named', (t) => {
  const asked = parsed(request({ opcode: 2, inode: 77 }, u64(3)));
  t.deepEqual(parseForgotten(asked), [{ inode: 77, count: 3 }]);
  t.deepEqual(parseForgotten(parsed(request({ opcode: 2 }))), []);
});

test('BATCH_FORGET gives all inodes that are really there', (t) => {
  const pairs = [u64(10), u64(1), u64(11), u64(2n ** 64n - 1n)];
  const expected = [
    { inode: 10, count: 1 },
    { inode: 11, count: Number.MAX_SAFE_INTEGER },
  ];
  for (const count of [2, 3, 0xffff_ffff]) {
    const asked = parsed(request({ opcode: 42, inode: 0 }, u32(count), u32(0), ...pairs));
    t.deepEqual(parseForgotten(asked), expected);
  }
  const one = parsed(request({ opcode: 42, inode: 0 }, u32(1), u32(0), ...pairs));
  t.deepEqual(parseForgotten(one), expected.slice(0, 1));
});

test('no bytes make a parser throw', (t) => {
  const parsers = [
    ...[parseAttributeName, parseAttributeRoom, parseForgotten, parseInterrupt],
    ...[parseIoctl, parseName, parseRead, parseSeek],
  ];
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 60 }),
      fc.uint8Array({ maxLength: 100 }),
      (opcode, body) => {
        const asked = parsed(request({ opcode }, body));
        for (const parse of parsers) parse(asked);
        parseFuseRequest(body, body.length);
      },
    ),
  );
  t.pass();
});
