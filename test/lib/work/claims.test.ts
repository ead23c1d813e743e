import test from 'ava';
import { Claims, createClaimsMemory } from '../../../lib/work/claims.ts';
import { noise } from '../../helpers/golden.ts';

/** Distinct digests; those of the same `group` share their first four bytes. */
function digestOf(number: number, group = number): Uint8Array {
  const digest = noise(32, 7 * number + 1);
  new DataView(digest.buffer).setUint32(0, group);
  return digest;
}

test('each chunk is taken on once, by whoever comes first', (t) => {
  const memory = createClaimsMemory();
  const [here, there] = [new Claims(memory), new Claims(memory)];
  for (let i = 0; i < 2000; i++) {
    t.true((i % 2 ? here : there).claim(digestOf(i)));
    t.false(here.claim(digestOf(i)));
    t.false(there.claim(digestOf(i)));
  }
});

test('chunks are told apart by all of their bytes', (t) => {
  const claims = new Claims(createClaimsMemory());
  const digest = digestOf(1);
  t.true(claims.claim(digest));
  for (let i = 0; i < digest.length; i++) {
    const other = digest.slice();
    other[i] ^= 0x80;
    t.true(claims.claim(other), `byte ${i}`);
  }
});

test('the oldest are forgotten, the youngest never', (t) => {
  const claims = new Claims(createClaimsMemory());
  for (let i = 0; i < 500; i++) {
    t.true(claims.claim(digestOf(i, 5)));
    for (let back = 0; back < Math.min(i, 15); back++) t.false(claims.claim(digestOf(i - back, 5)));
  }
  t.true(claims.claim(digestOf(0, 5)));
});
