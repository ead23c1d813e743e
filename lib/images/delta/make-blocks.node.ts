/**
 * Finds the blocks of an image that are not what a base has in their place. The base is a table of
 * digests, which becomes that of the image on the way: there is never a second one.
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import type { ImageVersion } from '../../../formats/delta.ts';
import { NEW, OLD } from '../../../formats/delta-blocks.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import { type ProgressSink, progressOf } from '../../progress.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import type { BlockPortion, BlockScan, KindRun } from '../source/scan-blocks.node.ts';
import { type BlockChange, NOTHING } from './block-change.ts';

/** Takes what changed, in ascending order. */
export interface ChangeTaker {
  /** @param length bytes of the block in the result, 0 if it goes */
  change(change: BlockChange, length: number): Promise<void>;
}

export interface BlockComparison {
  readonly scan: BlockScan;
  readonly source: ImageSource;
  /** Of the base, complete; that of the image in the end. */
  readonly table: BlockTable;
  readonly onProgress?: ProgressSink | undefined;
}

/** The table of an image. */
export async function readTable(
  scan: BlockScan,
  source: ImageSource,
  table: BlockTable,
  onProgress?: ProgressSink,
): Promise<void> {
  for await (const portion of scan.scan(source)) {
    table.set(portion.first, portion.digestsOf(portion));
    portion.release();
    onProgress?.(progressOf('read base', portion.start + portion.length, source.size));
  }
}

/** @returns what base and image are called */
export async function compareBlocks(
  taker: ChangeTaker,
  { scan, source, table, onProgress }: BlockComparison,
): Promise<{ readonly base: ImageVersion; readonly result: ImageVersion }> {
  const { digest } = scan;
  const base = { size: table.size, root: rootOfTable(digest, table) };
  const old = new OldBlocks(table, digest);
  if (source.size !== undefined && source.size > base.size) table.resize(source.size);
  let size = 0;
  for await (const portion of scan.scan(source)) {
    try {
      await takeChanges(portion, taker, table, old);
      size = portion.start + portion.length;
      if (size > table.size) table.resize(size);
      table.set(portion.first, portion.digestsOf(portion));
    } finally {
      portion.release();
    }
    onProgress?.(progressOf('delta', size, source.size));
  }
  for (let block = Math.ceil(size / table.blockSize); block < old.count; block++) {
    const gone = { block, new: NEW.absent, newDigest: NOTHING, bytes: NOTHING };
    await taker.change({ ...gone, ...old.stateOf(block) }, 0);
  }
  shorten(table, size);
  return { base, result: { size, root: rootOfTable(digest, table) } };
}

async function takeChanges(
  portion: BlockPortion,
  taker: ChangeTaker,
  table: BlockTable,
  old: OldBlocks,
): Promise<void> {
  for (const run of portion.changedRuns(table)) {
    const digests = portion.digestsOf(run);
    const bytes = portion.bytesOf(run);
    for (let i = 0; i < run.count; i++) {
      const block = run.first + i;
      const newDigest = digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
      const { blockSize } = old;
      const start = (block - portion.first) * blockSize;
      const length = Math.min(blockSize, portion.length - start);
      const now = stateOf(run, newDigest, bytes.subarray(i * blockSize, (i + 1) * blockSize));
      await taker.change({ block, ...old.stateOf(block), ...now }, length);
    }
  }
}

function stateOf({ kind }: KindRun, newDigest: Uint8Array, bytes: Uint8Array) {
  if (kind === 'zeros') return { new: NEW.zeros, newDigest: NOTHING, bytes: NOTHING };
  return { new: NEW.data, newDigest, bytes };
}

/** A table is not resized downwards where the digest of its last block is to stay. */
function shorten(table: BlockTable, size: number): void {
  if (size >= table.size) return;
  const last = Math.floor(size / table.blockSize);
  const digest = table.digests(last, 1).slice();
  table.resize(size);
  if (last < table.count) table.set(last, digest);
}

/** What the base has, while its table becomes another one. */
class OldBlocks {
  readonly blockSize: number;
  readonly count: number;
  readonly #size: number;
  readonly #table: BlockTable;
  /** The digest of the last block, which a longer image takes out of the table. */
  readonly #last: Uint8Array;
  readonly #zeros: Uint8Array;
  readonly #lastZeros: Uint8Array;

  constructor(table: BlockTable, digest: BlockDigest) {
    const { blockSize, count, size } = table;
    this.blockSize = blockSize;
    this.count = count;
    this.#size = size;
    this.#table = table;
    this.#last = count === 0 ? NOTHING : table.digests(count - 1, 1).slice();
    this.#zeros = new Uint8Array(DIGEST_LENGTH);
    digest.write(new Uint8Array(blockSize), this.#zeros, 0);
    this.#lastZeros = new Uint8Array(DIGEST_LENGTH);
    digest.write(new Uint8Array(size - Math.max(0, count - 1) * blockSize), this.#lastZeros, 0);
  }

  stateOf(block: number) {
    if (block >= this.count) return { old: OLD.absent, oldDigest: NOTHING };
    const oldDigest = this.#digestOf(block);
    const isLast = block === this.count - 1 && this.#size % this.blockSize > 0;
    const zeros = isLast ? this.#lastZeros : this.#zeros;
    if (equalBytes(oldDigest, zeros)) return { old: OLD.zeros, oldDigest: NOTHING };
    return { old: OLD.digest, oldDigest };
  }

  #digestOf(block: number): Uint8Array {
    return block === this.count - 1 ? this.#last : this.#table.digests(block, 1);
  }
}
