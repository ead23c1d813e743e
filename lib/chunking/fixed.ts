/** Chunks of equal size: the scanner for min = avg = max (spec/formats/chunker.md, "Fixed-size mode"). */
import type { ChunkScanner } from './scanner.ts';

/** @param size bytes per chunk, at least 1; only the last chunk of an input may be shorter */
export function createFixedScanner(size: number): ChunkScanner {
  let scanned = 0;
  return {
    scan(bytes) {
      const missing = size - scanned;
      if (bytes.length < missing) {
        scanned += bytes.length;
        return -1;
      }
      scanned = 0;
      return missing;
    },
    reset() {
      scanned = 0;
    },
  };
}
