import test from 'ava';
import fc from 'fast-check';
import {
  asciiBytes,
  byteKey,
  compareBytes,
  concatBytes,
  equalBytes,
  readSize,
  readU32,
  readU64,
  writeU32,
  writeU64,
} from '../../formats/bytes.ts';

const byteStrings = fc.uint8Array({ maxLength: 6 });

function holds<T>(law: fc.IProperty<T>): () => void {
  return () => fc.assert(law);
}

test('integers are little-endian', (t) => {
  const bytes = Uint8Array.of(9, 0x01, 0x02, 0x03, 0x84, 0xff, 0, 0, 0x80);
  t.is(readU32(bytes, 1), 0x84030201);
  t.is(readU64(bytes, 1), 0x800000ff84030201n);
});

test('a 64-bit integer is read as it was written', (t) => {
  const bytes = new Uint8Array(10);
  t.notThrows(
    holds(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        writeU64(bytes, 1, value);
        return readU64(bytes, 1) === value && bytes[0] === 0 && bytes[9] === 0;
      }),
    ),
  );
});

test('a number is written like the bigint of its value', (t) => {
  const bytes = new Uint8Array(8);
  t.notThrows(
    holds(
      fc.property(fc.maxSafeNat(), (value) => {
        writeU64(bytes, 0, value);
        return readU64(bytes, 0) === BigInt(value) && readSize(bytes, 0) === value;
      }),
    ),
  );
});

test('a size that a number cannot hold is infinite', (t) => {
  const bytes = new Uint8Array(8);
  const sizeOf = (value: bigint): number => {
    writeU64(bytes, 0, value);
    return readSize(bytes, 0);
  };
  t.is(sizeOf(2n ** 53n - 1n), Number.MAX_SAFE_INTEGER);
  t.is(sizeOf(2n ** 53n), Number.POSITIVE_INFINITY);
  t.is(sizeOf(2n ** 64n - 1n), Number.POSITIVE_INFINITY);
});

test('32 bits are written without touching what follows', (t) => {
  const bytes = new Uint8Array(6);
  writeU32(bytes, 1, 0xfedcba98);
  t.deepEqual(bytes, Uint8Array.of(0, 0x98, 0xba, 0xdc, 0xfe, 0));
});

test('byte strings compare like those of memcmp, a prefix first', (t) => {
  t.notThrows(
    holds(
      fc.property(byteStrings, byteStrings, (a, b) => {
        return Math.sign(compareBytes(a, b)) === Buffer.compare(a, b);
      }),
    ),
  );
});

test('byte strings are equal if they compare as equal', (t) => {
  t.notThrows(
    holds(
      fc.property(byteStrings, byteStrings, (a, b) => {
        return equalBytes(a, b) === (compareBytes(a, b) === 0) && equalBytes(a, a.slice());
      }),
    ),
  );
});

test('joined parts lie one behind the other', (t) => {
  t.deepEqual(concatBytes([]), new Uint8Array());
  const parts = [Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(3)];
  t.deepEqual(concatBytes(parts), Uint8Array.of(1, 2, 3));
});

test('different byte strings have different keys', (t) => {
  t.notThrows(
    holds(
      fc.property(byteStrings, byteStrings, (a, b) => {
        return (byteKey(a) === byteKey(b)) === equalBytes(a, b);
      }),
    ),
  );
});

test('ASCII text has one byte a character', (t) => {
  t.deepEqual(asciiBytes('a~\0'), Uint8Array.of(0x61, 0x7e, 0));
});
