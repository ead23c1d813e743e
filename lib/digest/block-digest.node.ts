/** The digests of blocks on Node. */
import * as crypto from 'node:crypto';
import {
  type BlockDigest,
  type BlockDigestName,
  DIGEST_LENGTH,
} from '../../formats/block-digest.ts';
import { writeChunkId } from '../../formats/chunk-id.ts';
import { createBlake2b256 } from './blake2b.ts';
import { createDigest } from './digest.node.ts';

/** The fastest implementation of a digest that works here. */
export function createBlockDigest(name: BlockDigestName): BlockDigest {
  if (name === 'blake2b-256') return { name, write: createBlake2b256() };
  if (typeof crypto.hash === 'function' && crypto.getHashes().includes(name)) return atOnce(name);
  const digest = createDigest(name);
  return {
    name,
    write: (bytes, into, offset) => writeChunkId(digest.hash(bytes), into, offset),
  };
}

/** As a string of 32 characters, which costs less than a buffer for every block. */
function atOnce(name: BlockDigestName): BlockDigest {
  let target: Buffer | undefined;
  return {
    name,
    write(bytes, into, offset) {
      const isSame = target?.buffer === into.buffer && target.byteOffset === into.byteOffset;
      if (target === undefined || !isSame || target.length !== into.length) {
        target = Buffer.from(into.buffer, into.byteOffset, into.length);
      }
      target.write(crypto.hash(name, bytes, 'binary'), offset, DIGEST_LENGTH, 'latin1');
    },
  };
}
