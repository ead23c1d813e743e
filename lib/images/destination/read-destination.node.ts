/** Reads blocks of a destination to find out what they are: on all cores, in order. */
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import type { BlockRun } from '../../../formats/block-table.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { imageOfFile } from '../source/image-source.node.ts';
import { BlockScan } from '../source/scan-blocks.node.ts';
import type { ReadBlocks } from './image-updater.ts';
import type { OpenedDestination } from './opened-destination.ts';

export interface ReadBlocksOptions {
  readonly blockSize: number;
  readonly digest: BlockDigestName;
  readonly threadCount: number;
  readonly signal: AbortSignal | undefined;
}

/** @param size where the last block ends at the latest. What cannot be read has zeros for digests */
export async function* readBlocks(
  destination: OpenedDestination,
  { runs, size }: { readonly runs: readonly BlockRun[]; readonly size: number },
  { signal, ...options }: ReadBlocksOptions,
): AsyncGenerator<ReadBlocks> {
  const scan = new BlockScan({ ...options, skipsUnreadable: true, ...(signal && { signal }) });
  try {
    const source = sourceOf(destination, runs, size, options.blockSize);
    for await (const portion of scan.scan(source)) {
      const { first, count, length } = portion;
      try {
        yield { first, count, digests: portion.digestsOf(portion), byteCount: length };
      } finally {
        portion.release();
      }
    }
  } finally {
    await scan.close();
  }
}

function sourceOf(
  { descriptor, label }: OpenedDestination,
  runs: readonly BlockRun[],
  size: number,
  blockSize: number,
): ImageSource {
  return {
    label,
    size,
    async *parts(ring, layout) {
      if (descriptor === undefined) return;
      for (const { first, count } of runs) {
        const stretch = {
          descriptor,
          label,
          start: first * blockSize,
          size: Math.min((first + count) * blockSize, size),
        };
        yield* imageOfFile(stretch).parts(ring, layout);
      }
    },
  };
}
