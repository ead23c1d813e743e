/**
 * The tree above the blocks of a table, level by level, for two sides that compare theirs
 * (spec/formats/session.md, "Levels").
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { levelAbove, ROOT_FAN_OUT } from '../../../formats/image-root.ts';

/** True until the table changes; levels are made when they are asked for first. */
export class BlockLevels {
  readonly #digest: BlockDigest;
  readonly #levels: Uint8Array[];

  constructor(digest: BlockDigest, table: BlockTable) {
    this.#digest = digest;
    this.#levels = [table.digests(0, table.count)];
  }

  /** Nodes of a level; 0 are the blocks. */
  count(level: number): number {
    return this.#level(level).length / DIGEST_LENGTH;
  }

  /** 32 bytes for each node; aliases the levels. @param nodes of which there are that many */
  digests(level: number, { first, count }: BlockRun): Uint8Array {
    return this.#level(level).subarray(first * DIGEST_LENGTH, (first + count) * DIGEST_LENGTH);
  }

  #level(level: number): Uint8Array {
    while (this.#levels.length <= level) {
      const below = this.#levels.at(-1) ?? new Uint8Array(0);
      this.#levels.push(below.length === 0 ? below : levelAbove(this.#digest, below));
    }
    return this.#levels[level];
  }
}

/** How many nodes a level above so many blocks has. */
export function nodeCount(blockCount: number, level: number): number {
  let count = blockCount;
  for (let i = 0; i < level; i++) count = Math.ceil(count / ROOT_FAN_OUT);
  return count;
}

/** The one digest above some blocks. @param digests 32 bytes each, at least one */
export function topOf(digest: BlockDigest, digests: Uint8Array): Uint8Array {
  let level = digests;
  while (level.length > DIGEST_LENGTH) level = levelAbove(digest, level);
  return level;
}
