/** BLAKE2b-256 by our kernel (spec/formats/digests.md). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blake2b } from '@noble/hashes/blake2.js';
import test from 'ava';
import { createBlake2b256 } from '../../../lib/digest/blake2b.ts';
import { buildBlake2b } from '../../../lib/digest/kernel/build.node.ts';
import { noise } from '../../helpers/golden.ts';

const write = createBlake2b256();

function digestOf(bytes: Uint8Array): string {
  const into = Buffer.alloc(40);
  write(bytes, into, 8);
  return into.toString('hex', 8);
}

test('the digest of nothing and of abc is the published one', (t) => {
  const nothing = '0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8';
  const abc = 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319';
  t.is(digestOf(new Uint8Array(0)), nothing);
  t.is(digestOf(Buffer.from('abc')), abc);
});

test('digests of all lengths equal those of another implementation', (t) => {
  const bytes = noise(70_000);
  const lengths = [...Array(300).keys(), 4095, 4096, 32_767, 32_768, 32_769, 65_536, 70_000];
  for (const length of lengths) {
    const input = bytes.subarray(0, length);
    const expected = Buffer.from(blake2b(input, { dkLen: 32 })).toString('hex');
    t.is(digestOf(input), expected, `${length} bytes`);
  }
});

test('the committed module is what its source compiles to', async (t) => {
  const committed = join(import.meta.dirname, '../../../lib/digest/kernel/blake2b-wasm.ts');
  t.is(await buildBlake2b(), readFileSync(committed, 'utf8'));
});
