/** The scanner of a thread: over the memory that all threads share, unless the reference is wanted. */
import { createScanKernel } from './kernel/kernel.ts';
import type { ChunkScanner } from './scanner.ts';
import { createScanner, type ScannerOptions } from './scanner-choice.ts';

export type Chunking = Omit<ScannerOptions, 'kernel'>;

/**
 * @param memory with room for the kernel at its begin, which only runs in a WebAssembly memory;
 *   CASYNC_KERNEL=reference does without
 */
export function openScanner(
  chunking: Chunking,
  memory: { readonly buffer: SharedArrayBuffer },
): ChunkScanner {
  const isWanted = process.env.CASYNC_KERNEL !== 'reference';
  if (!isWanted || !(memory instanceof WebAssembly.Memory)) return createScanner(chunking);
  return createScanner({ ...chunking, kernel: createScanKernel(memory) });
}
