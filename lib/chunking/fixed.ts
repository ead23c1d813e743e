/** Chunks of equal size: the scanner for min = avg = max (spec/formats/chunker.md, "Fixed-size mode"). */
import type { ChunkScanner } from './scanner.ts';

/** @param size bytes per chunk, at least 1; only the last chunk of an input may be shorter */
export function createFixedScanner(size: number): ChunkScanner {
  return { firstChunk: (bytes) => Math.min(size, bytes.length) };
}
