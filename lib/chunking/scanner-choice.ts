/** The one place that decides which scanner cuts a stream. Used by every pipeline that chunks. */
import { type ChunkSizes, isFixedSize } from '../../formats/chunk-sizes.ts';
import { createBuzhashScanner } from './buzhash.ts';
import { createFixedScanner } from './fixed.ts';
import type { ChunkScanner } from './scanner.ts';

/** A scanner at the start of an input, for sizes that are valid in an index. */
export function createScanner(chunkSizes: ChunkSizes): ChunkScanner {
  return isFixedSize(chunkSizes)
    ? createFixedScanner(chunkSizes.avg)
    : createBuzhashScanner(chunkSizes);
}
