/** Answers to NBD requests (spec/nbd.md, "Protocol"). */
import test from 'ava';
import {
  encodeNbdBlockStatus,
  encodeNbdDataHead,
  encodeNbdEnd,
  encodeNbdError,
  encodeNbdHole,
  encodeNbdSimpleReply,
} from '../../formats/nbd-replies.ts';
import { nbdBytes } from '../helpers/nbd-bytes.ts';

const cookie = Buffer.from('12345678');
const BIG = 0x0001_0002_0003_0004;

function chunkHead(flags: number, type: number, length: number): Buffer {
  return nbdBytes([32, 0x668e33ef], [16, flags], [16, type], cookie, [32, length]);
}

function is(t: { deepEqual(a: unknown, b: unknown): void }, bytes: Uint8Array, expected: Buffer) {
  t.deepEqual(Buffer.from(bytes), expected);
}

test('a simple answer has an error and the cookie', (t) => {
  is(t, encodeNbdSimpleReply(cookie, 22), nbdBytes([32, 0x67446698], [32, 22], cookie));
});

test('the end is a chunk of nothing', (t) => {
  is(t, encodeNbdEnd(cookie), chunkHead(1, 0, 0));
});

test('data follows its offset, and counts with it', (t) => {
  const head = encodeNbdDataHead(BIG, 1000, { cookie, isLast: false });
  is(t, head, nbdBytes(chunkHead(0, 1, 1008), [64, BIG]));
});

test('zeros have an offset and a length', (t) => {
  const bytes = encodeNbdHole(BIG, 0x8000_0001, { cookie, isLast: true });
  is(t, bytes, nbdBytes(chunkHead(1, 2, 12), [64, BIG], [32, 0x8000_0001]));
});

test('stretches of zeros are holes', (t) => {
  const stretches = [
    { length: 512, isZero: false },
    { length: 0xffff_fe00, isZero: true },
  ];
  is(
    t,
    encodeNbdBlockStatus(stretches, cookie),
    nbdBytes(chunkHead(1, 5, 20), [32, 1], [32, 512], [32, 0], [32, 0xffff_fe00], [32, 3]),
  );
});

test('an error has a text, and an offset where that is known', (t) => {
  const text = Buffer.from('gone');
  is(
    t,
    encodeNbdError(5, text, cookie),
    nbdBytes(chunkHead(1, 0x8001, 10), [32, 5], [16, 4], 'gone'),
  );
  is(
    t,
    encodeNbdError(5, text, cookie, BIG),
    nbdBytes(chunkHead(1, 0x8002, 18), [32, 5], [16, 4], 'gone', [64, BIG]),
  );
});

test('texts are cut between characters, at 4096 bytes', (t) => {
  const text = Buffer.from(`x${'ä'.repeat(3000)}`);
  const bytes = Buffer.from(encodeNbdError(5, text, cookie));
  t.is(bytes.readUInt16BE(24), 4095);
  t.is(bytes.subarray(26).toString(), `x${'ä'.repeat(2047)}`);
});
