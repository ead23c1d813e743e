/** Where the bytes of an archive or blob come from: a file, a pipe, or the chunks behind an index. */
export interface ByteSource {
  /** For messages. */
  readonly label: string;
  /** Length in bytes, where it is known. */
  readonly size?: number;
  /** False for pipes, which can only be read front to back. */
  readonly seekable: boolean;
  /**
   * Some bytes beginning at `offset`, at least one; an empty array at the end.
   * The array is valid until the next call. Sources that are not seekable take rising offsets only
   * and throw away what is skipped.
   * @param end nothing from this offset on is wanted soon: what would be read ahead is of no use
   * @throws CasError
   */
  read(offset: number, end?: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
