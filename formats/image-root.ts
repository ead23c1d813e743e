/**
 * The root of an image: one digest that names a version of it, and the tree above its blocks that two
 * sides compare level by level. Fan-out 16; a node is the digest of the digests below it, one behind
 * the other. Implements spec/images.md, "Root".
 */
import { type BlockDigest, DIGEST_LENGTH } from './block-digest.ts';
import type { BlockTable } from './block-table.ts';
import { writeU64 } from './bytes.ts';

/** Children of a node. */
export const ROOT_FAN_OUT = 16;
const LABEL = Uint8Array.from('casync image root 1\0', (letter) => letter.charCodeAt(0));

/** The level above: one digest for 16 below, fewer at the end. @param digests at least one */
export function levelAbove(digest: BlockDigest, digests: Uint8Array): Uint8Array {
  const nodeLength = ROOT_FAN_OUT * DIGEST_LENGTH;
  const count = Math.ceil(digests.length / nodeLength);
  const level = new Uint8Array(count * DIGEST_LENGTH);
  for (let i = 0; i < count; i++) {
    const below = digests.subarray(i * nodeLength, (i + 1) * nodeLength);
    digest.write(below, level, i * DIGEST_LENGTH);
  }
  return level;
}

/** What the root is the digest of besides the top of the tree. */
export interface RootParts {
  /** Bytes of the image. */
  readonly size: number;
  /** Bytes of a block; 0 for content-defined chunks. */
  readonly blockSize: number;
}

/** @param digests of all blocks or chunks, 32 bytes each @returns 32 bytes */
export function rootOf(digest: BlockDigest, parts: RootParts, digests: Uint8Array): Uint8Array {
  let level = digests;
  while (level.length > DIGEST_LENGTH) level = levelAbove(digest, level);
  const words = new Uint8Array(LABEL.length + 16 + level.length);
  words.set(LABEL);
  writeU64(words, LABEL.length, parts.size);
  writeU64(words, LABEL.length + 8, parts.blockSize);
  words.set(level, LABEL.length + 16);
  const root = new Uint8Array(DIGEST_LENGTH);
  digest.write(words, root, 0);
  return root;
}

/** The root of a table without unknown blocks. */
export function rootOfTable(digest: BlockDigest, table: BlockTable): Uint8Array {
  return rootOf(digest, table, table.digests());
}
