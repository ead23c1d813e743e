import test from 'ava';
import { CasError } from '../../formats/errors.ts';
import { parseSize } from '../../formats/size.ts';

const ACCEPTED: readonly (readonly [text: string, bytes: number])[] = [
  ['0', 0],
  ['007', 7],
  ['64K', 65536],
  ['1.5K', 1536],
  ['1.', 1],
  ['1.K', 1024],
  ['1.9B', 1],
  ['0.0001B', 0],
  ['1K 5', 1029],
  ['1K5B', 1029],
  ['1B1', 2],
  [' 1K', 1024],
  ['1 \tK', 1024],
  ['1M512K', 1572864],
  ['1M\t512K', 1572864],
  ['1M 2K 3B', 1050627],
  ['0.00000000001P', 11258],
  ['1.0000000000000000000000000000000000001K', 1024],
  ['128M', 134217728],
  ['15E', 15 * 2 ** 60],
  ['18446744073709551615', 2 ** 64],
];

test('sizes add up their terms in powers of 1024', (t) => {
  for (const [text, bytes] of ACCEPTED) t.is(parseSize(text), bytes, text);
});

function refusalOf(text: string): string {
  try {
    return `accepted as ${parseSize(text)}`;
  } catch (error) {
    return error instanceof CasError ? `${error.code} ${error.reason}` : String(error);
  }
}

test('what is no size is refused', (t) => {
  const texts = ['', ' ', '1K ', '64k', '64KB', '64KiB', '0x10', '1e4', '-5', '+5', '.5K', '1,5K'];
  for (const text of [...texts, '1.5.5K', '1K.5', '\u0661', '1\n', 'K', '1 5']) {
    t.is(refusalOf(text), 'USAGE Invalid argument', text);
  }
});

test('units must become smaller', (t) => {
  for (const text of ['1K 5K', '1K1K', '512K 1M', '5 5', '3 2B', '8E8E']) {
    t.is(refusalOf(text), 'USAGE Invalid argument', text);
  }
});

test('a size that 64 bits cannot hold is out of range', (t) => {
  for (const text of ['16E', '18446744073709551616', '15E 1024P', '99999999999999999999K']) {
    t.is(refusalOf(text), 'USAGE Numerical result out of range', text);
  }
});
