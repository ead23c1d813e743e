/**
 * Where changed blocks of an image go: a file or device with its map, or a new image. Who gives them, a
 * scan, a session or a version that is restored, does not know which.
 */
import type { BlockRun, BlockTable } from '../../formats/block-table.ts';

export interface BlockSink {
  /** What the destination is known to hold. {@link write} keeps it true. */
  readonly known: BlockTable;
  /**
   * Takes blocks for their place. They come in ascending order, no block twice.
   * @param digests 32 bytes for each, of exactly these bytes
   * @param bytes of the blocks, valid until the promise resolves; undefined if all are zeros
   */
  write(run: BlockRun, digests: Uint8Array, bytes: Uint8Array | undefined): Promise<void>;
  /** All blocks have come. Resolves when everything is durable and, where there is one, the map is clean. */
  finish(size: number): Promise<SinkResult>;
  /** The work ends early; what was written stays true. Does nothing after {@link finish}. */
  abandon(): Promise<void>;
}

export interface SinkResult {
  /** Of the image as it is now, 32 bytes (formats/image-root.ts). */
  readonly root: Uint8Array;
  /** Bytes that were written; zeros that became holes do not count. */
  readonly writtenBytes: number;
  /** Bytes of zeros that became holes. */
  readonly holeBytes: number;
}
