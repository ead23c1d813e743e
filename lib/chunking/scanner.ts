/** The seam between chunking algorithms and everything that needs chunk ends. */

/** The algorithms that find chunk ends in the content. */
export type ChunkerName = 'buzhash' | 'fastcdc';

/** Finds chunk ends. Keeps nothing between calls; the cuts of an input depend on its bytes alone. */
export interface ChunkScanner {
  /**
   * @param bytes not empty; begins at the start of a chunk and holds at least the maximum chunk size
   * (or 48 bytes, if that is more), or everything up to the end of the input
   * @returns length of the first chunk, 1 .. bytes.length
   * @throws PipelineError `USAGE` where the chunk sizes do not allow to cut this input
   */
  firstChunk(bytes: Uint8Array): number;
}
