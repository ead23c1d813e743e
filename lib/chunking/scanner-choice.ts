/** The one place that decides which scanner cuts a stream. Used by every pipeline that chunks. */
import { type ChunkSizes, isFixedSize } from '../../formats/chunk-sizes.ts';
import { PipelineError } from '../errors.ts';
import { createBuzhashScanner } from './buzhash.ts';
import { createFastCdcScanner } from './fastcdc.ts';
import { createFixedScanner } from './fixed.ts';
import { createKernelScanner, type ScanKernel } from './kernel/kernel.ts';
import type { ChunkerName, ChunkScanner } from './scanner.ts';

export interface ScannerOptions {
  readonly chunker: ChunkerName;
  /** Valid in an index. If all three are equal, the chunker does not matter. */
  readonly chunkSizes: ChunkSizes;
  /** Scans bytes in its memory much faster than the reference can. */
  readonly kernel?: ScanKernel;
}

export function createScanner(options: ScannerOptions): ChunkScanner {
  const { chunkSizes } = options;
  if (isFixedSize(chunkSizes)) return createFixedScanner(chunkSizes.avg);
  return keepMaximum(chunkerFor(options), chunkSizes.max);
}

function chunkerFor({ chunker, chunkSizes, kernel }: ScannerOptions): ChunkScanner {
  if (chunker === 'fastcdc') return createFastCdcScanner(chunkSizes, kernel);
  return kernel === undefined
    ? createBuzhashScanner(chunkSizes)
    : createKernelScanner(kernel, chunkSizes);
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
