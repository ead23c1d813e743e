/**
 * An index of blocks of one size as a table: read from its file part by part, because it may be far
 * longer than what memory should hold (spec/images.md, "Terms").
 */

import { decodeBlockIndex } from '../../formats/block-index.ts';
import type { BlockTable } from '../../formats/block-table.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { about } from '../../formats/errors.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { readerOf } from './part-reader.node.ts';

export interface BlockIndex {
  readonly table: BlockTable;
  readonly digest: DigestName;
}

/** An open regular file. */
export interface IndexFile {
  readonly descriptor: number;
  /** For messages. */
  readonly label: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * @returns undefined for an index whose chunks are not of one size
 * @throws FormatError for what is no index; PipelineError `IO`
 */
export function readBlockIndex({ descriptor, label, size }: IndexFile): BlockIndex | undefined {
  try {
    const decoded = decodeBlockIndex(size, readerOf(descriptor, label));
    return decoded && { table: decoded.table, digest: digestOfFlags(decoded.featureFlags) };
  } catch (error) {
    throw about(label, error);
  }
}
