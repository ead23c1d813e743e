/** Roots of images (spec/images.md, "Root"): computed again from the definition. */
import { createHash } from 'node:crypto';
import test from 'ava';
import { BlockTable } from '../../formats/block-table.ts';
import { levelAbove, ROOT_FAN_OUT, rootOf, rootOfTable } from '../../formats/image-root.ts';
import { createBlockDigest } from '../../lib/digest/block-digest.node.ts';

const sha256 = createBlockDigest('sha256');
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** By the definition, node after node. */
function expectedRoot(size: number, blockSize: number, digests: Buffer): Buffer {
  let level = digests;
  while (level.length > 32) {
    const nodes: Buffer[] = [];
    for (let at = 0; at < level.length; at += 16 * 32)
      nodes.push(hash(level.subarray(at, at + 16 * 32)));
    level = Buffer.concat(nodes);
  }
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64LE(BigInt(size), 0);
  numbers.writeBigUInt64LE(BigInt(blockSize), 8);
  return hash(Buffer.concat([Buffer.from('casync image root 1\0'), numbers, level]));
}

const someDigests = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => hash(Buffer.from(`${i}`))));

for (const count of [0, 1, 2, 16, 17, 256, 257, 5000]) {
  test(`the root of ${count} blocks is that of the definition`, (t) => {
    const digests = someDigests(count);
    const size = count * 4096;
    const root = rootOf(sha256, { size, blockSize: 4096 }, digests);
    t.deepEqual(Buffer.from(root), expectedRoot(size, 4096, digests));
    t.deepEqual(rootOfTable(sha256, new BlockTable(4096, size, digests)), root);
  });
}

test('size and block size are part of the root', (t) => {
  const digests = someDigests(3);
  const roots = [
    { size: 12_288, blockSize: 4096 },
    { size: 12_287, blockSize: 4096 },
    { size: 12_288, blockSize: 0 },
  ].map((parts) => Buffer.from(rootOf(sha256, parts, digests)).toString('hex'));
  t.is(new Set(roots).size, 3);
});

test('a level has one digest for each sixteen below', (t) => {
  t.is(levelAbove(sha256, someDigests(ROOT_FAN_OUT)).length, 32);
  t.is(levelAbove(sha256, someDigests(ROOT_FAN_OUT + 1)).length, 64);
});
