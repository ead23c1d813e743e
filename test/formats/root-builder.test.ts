/** The root of digests that come part by part is that of all of them at once. */
import { createHash } from 'node:crypto';
import test from 'ava';
import type { BlockDigest } from '../../formats/block-digest.ts';
import { rootOf } from '../../formats/image-root.ts';
import { RootBuilder } from '../../formats/root-builder.ts';
import { noise } from '../helpers/golden.ts';

const SHA256: BlockDigest = {
  name: 'sha256',
  write: (bytes, into, offset) => into.set(createHash('sha256').update(bytes).digest(), offset),
};

test('in whatever parts digests come, the root is the same', (t) => {
  for (const count of [0, 1, 2, 15, 16, 17, 255, 256, 257, 272, 4096, 4097, 5000]) {
    const digests = noise(count * 32);
    const parts = { size: count * 512, blockSize: 512 };
    const expected = Buffer.from(rootOf(SHA256, parts, digests)).toString('hex');
    for (const step of [1, 7, 16, 1000]) {
      const builder = new RootBuilder(SHA256);
      for (let i = 0; i < count; i += step) builder.add(digests.subarray(i * 32, (i + step) * 32));
      t.is(Buffer.from(builder.finish(parts)).toString('hex'), expected, `${count} by ${step}`);
    }
  }
});
