/** Whether a destination is what its map says: it is read (spec/images.md, "`map`"). */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockTable } from '../../../formats/block-table.ts';
import type { OpenedDestination } from './opened-destination.ts';
import { type ReadBlocksOptions, readBlocks } from './read-destination.node.ts';

/** Bytes that are not what the map says; the end is not included. */
export interface MapDifference {
  readonly start: number;
  readonly end: number;
}

export interface MapCheck {
  readonly readBytes: number;
  readonly differentBlocks: number;
  /** Blocks of which the map says nothing. */
  readonly unknownBlocks: number;
}

export interface CheckMapOptions extends ReadBlocksOptions {
  readonly onDifference: (difference: MapDifference) => void;
  readonly onRead: (bytes: number) => void;
}

/** @param table what the destination should be */
export async function checkMap(
  table: BlockTable,
  destination: OpenedDestination,
  options: CheckMapOptions,
): Promise<MapCheck> {
  const runs = table.count === 0 ? [] : [{ first: 0, count: table.count }];
  let [readBytes, differentBlocks, unknownBlocks] = [0, 0, 0];
  let pending: MapDifference | undefined;
  for await (const read of readBlocks(destination, { runs, size: table.size }, options)) {
    for (let i = 0; i < read.count; i++) {
      const block = read.first + i;
      if (table.isUnknown(block)) unknownBlocks += 1;
      else if (!table.has(block, read.digests, i * DIGEST_LENGTH)) {
        differentBlocks += 1;
        const start = block * table.blockSize;
        const end = start + table.sizeOf(block);
        if (pending?.end === start) pending = { start: pending.start, end };
        else {
          if (pending !== undefined) options.onDifference(pending);
          pending = { start, end };
        }
      }
    }
    readBytes += read.byteCount;
    options.onRead(readBytes);
  }
  if (pending !== undefined) options.onDifference(pending);
  return { readBytes, differentBlocks, unknownBlocks };
}
