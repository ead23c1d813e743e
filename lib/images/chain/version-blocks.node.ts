/**
 * The blocks of a version, a part at a time: memory does not grow with the image, and what is forgotten
 * meanwhile stays open (spec/formats/version.md, "Reading"). Used by get, diff and export.
 */
import * as fs from 'node:fs';
import { BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { about, FormatError } from '../../../formats/errors.ts';
import { RootBuilder } from '../../../formats/root-builder.ts';
import { applyVersionPart } from '../../../formats/version.ts';
import { attempt } from '../../../store/backends/durable-write.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { ZeroDigests } from '../zero-digests.ts';
import { type ChainVersion, checkFile, readAt } from './version-file.node.ts';

/** Some blocks of an image, one behind the other. */
export interface BlockPart {
  /** Number of the first block. */
  readonly first: number;
  /** Of these blocks alone. */
  readonly table: BlockTable;
}

const BLOCKS_AT_ONCE = 2 ** 16;

export class VersionBlocks {
  readonly version: ChainVersion;
  readonly #lineage: readonly { readonly version: ChainVersion; readonly file: number }[];
  readonly #zeros: ZeroDigests;

  /**
   * @param lineage those that the table is made of, the whole one first, the version itself last
   * @throws FormatError | StorageError about a file; PipelineError `VERIFY_FAILED` if the blocks are not
   * those of the version
   */
  constructor(version: ChainVersion, lineage: readonly ChainVersion[]) {
    this.version = version;
    const digest = createBlockDigest(version.digest);
    this.#zeros = new ZeroDigests(digest, version.blockSize);
    const opened: { readonly version: ChainVersion; readonly file: number }[] = [];
    this.#lineage = opened;
    try {
      for (const one of lineage) {
        const file = attempt(one.path, 'open', () => fs.openSync(one.path, 'r'));
        opened.push({ version: one, file });
        checkFile(file, one);
      }
      const root = new RootBuilder(digest);
      for (const { table } of this.parts()) root.add(table.digests());
      if (equalBytes(root.finish(version), version.root)) return;
      const reason = 'its blocks are not those that it was made of; a version before it is damaged';
      throw new PipelineError('VERIFY_FAILED', { subject: version.path, reason });
    } catch (error) {
      this.close();
      throw about(version.path, error);
    }
  }

  /** All blocks in order. */
  *parts(): Generator<BlockPart> {
    const { size, blockSize } = this.version;
    const count = Math.ceil(size / blockSize);
    for (let first = 0; first < count; first += BLOCKS_AT_ONCE) {
      const start = first * blockSize;
      const end = Math.min(size, (first + BLOCKS_AT_ONCE) * blockSize);
      const table = new BlockTable(blockSize, end - start);
      for (const { version, file } of this.#lineage) this.#apply(version, file, { first, table });
      yield { first, table };
    }
  }

  /** All of them at once. */
  table(): BlockTable {
    const { size, blockSize } = this.version;
    const table = new BlockTable(blockSize, size);
    for (const part of this.parts()) table.set(part.first, part.table.digests());
    return table;
  }

  close(): void {
    for (const { file } of this.#lineage) fs.closeSync(file);
  }

  #apply(version: ChainVersion, file: number, part: BlockPart): void {
    const { path } = version;
    const read = (offset: number, length: number) => readAt(file, path, offset, length);
    try {
      applyVersionPart(version, part, read, (length) => this.#zeros.of(length));
    } catch (error) {
      throw error instanceof FormatError ? about(path, error) : error;
    }
  }
}
