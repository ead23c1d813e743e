/** Where an image is not what a table of its blocks says, told by digests alone. Used by verify. */
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../formats/block-table.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { ImageSource } from './source/image-source.node.ts';
import type { BlockScan } from './source/scan-blocks.node.ts';

/** What was compared. */
export interface BlockComparison {
  /** Bytes that the image had. */
  size: number;
}

/**
 * Runs of blocks that differ, rising; those that the image lacks are among them.
 * @param compared filled in
 */
export async function* differentBlocks(
  table: BlockTable,
  source: ImageSource,
  scan: BlockScan,
  compared: BlockComparison,
  onProgress?: ProgressSink,
): AsyncGenerator<BlockRun> {
  for await (const portion of scan.scan(source)) {
    const digests = portion.digestsOf(portion);
    const end = Math.min(portion.first + portion.count, table.count);
    try {
      for (let i = portion.first; i < end; i++) {
        const isSame = table.has(i, digests, (i - portion.first) * DIGEST_LENGTH);
        if (!isSame) yield { first: i, count: 1 };
      }
    } finally {
      portion.release();
    }
    compared.size = portion.start + portion.length;
    onProgress?.(progressOf('verify', Math.min(compared.size, table.size), table.size));
  }
  const first = Math.ceil(compared.size / table.blockSize);
  if (first < table.count) yield { first, count: table.count - first };
}
