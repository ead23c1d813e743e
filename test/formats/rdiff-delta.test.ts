/** Deltas of rdiff (spec/bridges.md, "rdiff deltas"). */
import test from 'ava';
import fc from 'fast-check';
import { FormatError } from '../../formats/errors.ts';
import {
  encodeRdiffCopy,
  encodeRdiffDeltaHead,
  encodeRdiffEnd,
  encodeRdiffLiteral,
  isRdiffDelta,
  RdiffDeltaParser,
} from '../../formats/rdiff-delta.ts';

/** Commands as text; literals that follow each other are one. */
function parse(bytes: Uint8Array, portion = bytes.length): readonly string[] {
  const parser = new RdiffDeltaParser();
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += Math.max(1, portion)) {
    parser.feed(bytes.subarray(at, at + Math.max(1, portion)));
    for (let event = parser.next(); event !== undefined; event = parser.next()) {
      if (event.type === 'copy') found.push(`copy ${event.start} ${event.length}`);
      else {
        const text = Buffer.from(event.bytes).toString('hex');
        if (found.at(-1)?.startsWith('+')) found.push(`${found.pop()}${text}`);
        else found.push(`+${text}`);
      }
    }
  }
  parser.finish();
  return found;
}

function delta(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([encodeRdiffDeltaHead(), ...parts, encodeRdiffEnd()]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('commands have the bytes that librsync gives them', (t) => {
  t.is(hex(delta()), '7273023600');
  t.is(hex(encodeRdiffLiteral(1)), '01');
  t.is(hex(encodeRdiffLiteral(64)), '40');
  t.is(hex(encodeRdiffLiteral(65)), '4141');
  t.is(hex(encodeRdiffLiteral(0x100)), '420100');
  t.is(hex(encodeRdiffLiteral(0x10000)), '4300010000');
  t.is(hex(encodeRdiffLiteral(0x100000000)), '440000000100000000');
  t.is(hex(encodeRdiffCopy(0, 1)), '450001');
  t.is(hex(encodeRdiffCopy(0xff, 0xffff)), '46ffffff');
  t.is(hex(encodeRdiffCopy(0x100, 1)), '49010001');
  t.is(hex(encodeRdiffCopy(0x123456789a, 0x10)), '51000000123456789a10');
  t.is(hex(encodeRdiffCopy(0, 2 ** 40)), '48000000010000000000');
});

test('what was written is read, in portions of any size', (t) => {
  const literal = fc
    .uint8Array({ minLength: 1, maxLength: 300 })
    .map((bytes) => Buffer.concat([encodeRdiffLiteral(bytes.length), bytes]));
  const number = fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat({ max: 2 ** 31 }), fc.maxSafeNat());
  const copy = fc
    .tuple(number, number)
    .filter(([start, length]) => length > 0 && Number.isSafeInteger(start + length))
    .map(([start, length]) => encodeRdiffCopy(start, length));
  fc.assert(
    fc.property(fc.array(fc.oneof(literal, copy)), fc.integer({ min: 1, max: 40 }), (all, n) => {
      const bytes = delta(...all);
      t.deepEqual(parse(bytes, n), parse(bytes));
    }),
    { numRuns: 60 },
  );
  t.deepEqual(parse(delta(encodeRdiffCopy(5, 7), encodeRdiffLiteral(2), Buffer.from('hi'))), [
    'copy 5 7',
    '+6869',
  ]);
});

test('a delta that ends early is refused, wherever that is', (t) => {
  const whole = delta(
    encodeRdiffLiteral(70),
    Buffer.alloc(70, 7),
    encodeRdiffCopy(70_000, 300),
    encodeRdiffCopy(2 ** 33, 2 ** 34),
  );
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => parse(whole.subarray(0, length)), { instanceOf: FormatError }, `${length}`);
    t.throws(() => parse(whole.subarray(0, length), 1), { instanceOf: FormatError });
  }
  t.notThrows(() => parse(whole, 1));
});

test('what is no delta, unknown commands and impossible numbers are refused', (t) => {
  const bad: readonly Uint8Array[] = [
    Buffer.from('7273023700', 'hex'),
    Buffer.concat([delta(), Uint8Array.of(0)]),
    delta(Uint8Array.of(0x41, 0)),
    delta(Buffer.from('44ffffffffffffffff', 'hex')),
    delta(encodeRdiffCopy(5, 0)),
    delta(Buffer.from('54001ffffffffffffff000000000000fff', 'hex')),
    ...Array.from({ length: 0x100 - 0x55 }, (_, i) => delta(Uint8Array.of(0x55 + i))),
  ];
  for (const bytes of bad) t.throws(() => parse(bytes), { instanceOf: FormatError }, hex(bytes));
  t.true(isRdiffDelta(delta()));
  t.false(isRdiffDelta(Buffer.from('72730236')) || isRdiffDelta(Buffer.from('7273', 'hex')));
});
