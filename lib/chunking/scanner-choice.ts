/** The one place that decides which scanner cuts a stream. Used by every pipeline that chunks. */
import { type ChunkSizes, isFixedSize } from '../../formats/chunk-sizes.ts';
import { PipelineError } from '../errors.ts';
import { createBuzhashScanner } from './buzhash.ts';
import { createFixedScanner } from './fixed.ts';
import type { ChunkScanner } from './scanner.ts';

/** The algorithms that find chunk ends in the content. */
export type ChunkerName = 'buzhash' | 'fastcdc';

export interface ScannerOptions {
  readonly chunker: ChunkerName;
  /** Valid in an index. If all three are equal, the chunker does not matter. */
  readonly chunkSizes: ChunkSizes;
}

export function createScanner(options: ScannerOptions): ChunkScanner {
  const { chunkSizes } = options;
  if (isFixedSize(chunkSizes)) return createFixedScanner(chunkSizes.avg);
  return keepMaximum(chunkerFor(options), chunkSizes.max);
}

function chunkerFor({ chunker, chunkSizes }: ScannerOptions): ChunkScanner {
  if (chunker === 'buzhash') return createBuzhashScanner(chunkSizes);
  throw new PipelineError('UNSUPPORTED', {
    step: 'choose a chunker',
    reason: `${chunker} is not there yet`,
  });
}

/** The hash needs 48 bytes, so a smaller maximum cannot always be kept (chunker.md, "Cut rule"). */
function keepMaximum(scanner: ChunkScanner, max: number): ChunkScanner {
  return {
    firstChunk(bytes) {
      const length = scanner.firstChunk(bytes);
      if (length <= max) return length;
      throw new PipelineError('USAGE', {
        step: 'cut into chunks',
        reason: `chunk of ${length} bytes exceeds the maximum chunk size of ${max}`,
      });
    },
  };
}
