/** What every implementation of a digest must do (spec/formats/digests.md). */
import { Buffer } from 'node:buffer';
import test from 'ava';
import type { DigestName } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';
import { noise, vectors } from '../helpers/golden.ts';

type Case = { readonly dataHex: string } & { readonly [name in DigestName]: string };

export function digestSuite(name: string, digest: Digest): void {
  const { cases } = vectors<{ readonly cases: readonly Case[] }>('digests');

  test(`${name}: gives the known values`, (t) => {
    for (const row of cases) {
      t.is(digest.hash(Buffer.from(row.dataHex, 'hex')) as string, row[digest.name]);
    }
  });

  test(`${name}: a stream gives the same value, however it is divided`, (t) => {
    const bytes = noise(300);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const stream = digest.stream();
      stream.update(bytes.subarray(0, cut));
      stream.update(bytes.subarray(cut));
      t.is(stream.finish(), digest.hash(bytes));
    }
  });

  test(`${name}: streams do not disturb each other`, (t) => {
    const bytes = noise(100);
    const [first, second] = [digest.stream(), digest.stream()];
    first.update(bytes.subarray(0, 50));
    second.update(bytes);
    first.update(bytes.subarray(50));
    t.is(first.finish(), second.finish());
  });

  test(`${name}: hashes views of shared memory`, (t) => {
    const shared = new Uint8Array(new SharedArrayBuffer(1000), 10, 500);
    shared.set(noise(500));
    t.is(digest.hash(shared), digest.hash(noise(500)));
  });
}
