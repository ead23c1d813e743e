/** The seam between chunking algorithms and everything that needs chunk ends. */

/** Finds chunk ends. Owns no buffers and reads nothing; the rolling hash is its only state. */
export interface ChunkScanner {
  /**
   * Looks at the next bytes of the current chunk.
   * @returns how many of them complete the chunk (1 .. bytes.length; the next call starts the next
   * chunk with the byte behind them), or -1 if the chunk goes on behind all of them.
   * The result does not depend on how the input is cut into calls.
   */
  scan(bytes: Uint8Array): number;
  /** Start of a new input. */
  reset(): void;
}
