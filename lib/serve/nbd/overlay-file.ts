/** What an overlay needs of the file it lies in: a seam for tests that cut the power. */

export interface OverlayFile {
  /** For messages. */
  readonly label: string;
  /** Bytes; does not change. */
  readonly size: number;
  /**
   * Fills `into` with the bytes from `offset` on; there must be as many.
   * @throws CasError
   */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** @throws CasError; then the range may be a mixture, block by block */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes a range zeros and gives its space back; may do neither. */
  release(offset: number, length: number): Promise<void>;
  /** Makes room for all of a range, whose bytes may become zeros. @throws CasError `TARGET_FULL` */
  reserve(offset: number, length: number): Promise<void>;
  /** Resolves when all writes that have ended are on the disk. */
  sync(): Promise<void>;
  /** Offset of the first byte at or behind `offset` that may be other than zero. */
  nextData(offset: number): number | undefined;
  close(): void;
}
