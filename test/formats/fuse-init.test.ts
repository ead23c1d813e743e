import test from 'ava';
import { parseInit, writeInit } from '../../formats/fuse-init.ts';
import { FuseFlag } from '../../formats/fuse-protocol.ts';
import { parseFuseRequest } from '../../formats/fuse-requests.ts';
import { fields, initRequest, request, u16, u32 } from '../helpers/fuse-bytes.ts';

const TERMS = {
  flags: FuseFlag.ASYNC_READ | FuseFlag.MAX_PAGES | FuseFlag.POSIX_ACL,
  backgroundRequests: 64,
  busyRequests: 48,
  readBytes: 2 ** 20,
};

function offerOf(bytes: Uint8Array): ReturnType<typeof parseInit> {
  const asked = parseFuseRequest(bytes, bytes.length);
  return asked && parseInit(asked);
}

function answerTo(flags: number): Uint8Array {
  const out = new Uint8Array(80).fill(0xee);
  writeInit(out, 16, { major: 7, minor: 45, flags }, TERMS);
  return out.subarray(16);
}

test('the offer of a kernel is its version and its flags', (t) => {
  t.deepEqual(offerOf(initRequest()), { major: 7, minor: 45, flags: 0x73ff_fffb });
});

test('kernels before 7.36 send 16 bytes', (t) => {
  const asked = request({ opcode: 26 }, u32(7), u32(23), u32(131072), u32(0xff));
  t.deepEqual(offerOf(asked), { major: 7, minor: 23, flags: 0xff });
});

test('of a kernel of another generation only the version is known', (t) => {
  t.deepEqual(offerOf(request({ opcode: 26 }, u32(8), u32(1))), { major: 8, minor: 1, flags: 0 });
});

test('an offer that is cut off is none', (t) => {
  t.is(offerOf(request({ opcode: 26 }, u32(7))), undefined);
  t.is(offerOf(request({ opcode: 26 }, u32(7), u32(45), u32(0))), undefined);
});

test('an answer has all fields, and of the flags those that were offered', (t) => {
  const expected = fields(
    ...[u32(7), u32(38), u32(16 * 2 ** 20), u32(FuseFlag.ASYNC_READ | FuseFlag.MAX_PAGES)],
    ...[u16(64), u16(48), u32(4096), u32(1), u16(256), u16(0)],
    new Uint8Array(32),
  );
  t.is(expected.length, 64);
  t.deepEqual(
    answerTo(FuseFlag.ASYNC_READ | FuseFlag.MAX_PAGES | 0x4000_0000),
    Uint8Array.from(expected),
  );
});

test('a kernel that does not ask for the size of reads is not told one', (t) => {
  const answer = answerTo(FuseFlag.ASYNC_READ);
  t.deepEqual(answer.subarray(28, 30), Uint8Array.of(0, 0));
});
