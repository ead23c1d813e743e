import test from 'ava';
import { sipHasher } from '../../formats/siphash.ts';
import { vectors } from '../helpers/golden.ts';

interface Vectors {
  readonly keyHex: string;
  readonly cases: readonly { readonly nameHex: string; readonly hash: string }[];
  readonly publishedCase: {
    readonly keyHex: string;
    readonly dataHex: string;
    readonly hash: string;
  };
}

const { keyHex, cases, publishedCase } = vectors<Vectors>('siphash');

function hash(messageHex: string, key: string): string {
  const { high, low } = sipHasher(Buffer.from(key, 'hex'))(Buffer.from(messageHex, 'hex'));
  return [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
}

test('the published vector holds', (t) => {
  t.is(hash(publishedCase.dataHex, publishedCase.keyHex), publishedCase.hash);
});

test('the first published vectors of the reference implementation hold', (t) => {
  const key = '000102030405060708090a0b0c0d0e0f';
  t.is(hash('', key), '726fdb47dd0e0e31');
  t.is(hash('00', key), '74f839c593dc67fd');
  t.is(hash('0001', key), '0d6c8009d9a94f5a');
  t.is(hash('0001020304050607', key), '93f5f5799a932462');
});

test('names have the hashes that stand in archives of the original', (t) => {
  for (const { nameHex, hash: expected } of cases) t.is(hash(nameHex, keyHex), expected, nameHex);
});
