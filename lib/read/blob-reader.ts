/**
 * The bytes of a blob or archive, any of them at any time: what mounts, network block devices and cat
 * read. One interface for files here and elsewhere, and for the chunks behind an index.
 */
import { concatBytes } from '../../formats/bytes.ts';
import type { SignalOption } from '../../store/backend.ts';

/** A part of a blob, in bytes. */
export interface BlobRange {
  readonly offset: number;
  readonly length: number;
}

/** Bytes that were read. They stay as they are, and occupy memory, until they are released. */
export interface BlobBytes {
  /** One behind the other; views of memory that belongs to the reader. */
  readonly pieces: readonly Uint8Array[];
  /** Bytes in all pieces. */
  readonly length: number;
  /** To be called once, when the pieces are not needed any more. */
  release(): void;
}

/** A stretch of a blob of which something is known without reading it. */
export interface BlobExtent {
  /** Offset behind its last byte; greater than the offset that was asked for. */
  readonly end: number;
  /** Nothing but zeros. False says nothing. */
  readonly isZero: boolean;
}

export interface BlobReader {
  /** For messages. */
  readonly label: string;
  /** Length in bytes; does not change. */
  readonly size: number;
  /**
   * Exactly the bytes of a range, fewer only where the blob ends. Calls may overlap. Returns a promise
   * only where it has to wait. A reader notices by itself that ranges are read in order, and reads ahead.
   * @param options the signal ends the waiting of this call; what others wait for goes on
   * @throws CasError if any byte cannot be had; the next call tries again
   */
  read(range: BlobRange, options?: SignalOption): BlobBytes | Promise<BlobBytes>;
  /** @param offset within the blob */
  extentAt(offset: number): BlobExtent;
  /**
   * The bytes around an offset within the blob that are had or not had together: looking at one of them
   * costs and risks nothing more than looking at all. Left out where every byte is on its own.
   */
  unitAt?(offset: number): BlobRange;
  /** Ends what is still going on; waiting calls fail. */
  close(): Promise<void>;
}

/** Memory for what was read, where nobody says another size, in bytes. */
export const USUAL_CACHE_SIZE = 64 * 1024 * 1024;

/** Bytes that no reader wants back. */
export function freeBytes(...pieces: readonly Uint8Array[]): BlobBytes {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { pieces, length, release() {} };
}

/** The same bytes in memory of their own; they are given back to the reader. */
export function copyAndRelease({ pieces, release }: BlobBytes): Uint8Array {
  const copy = concatBytes(pieces);
  release();
  return copy;
}

/** The part of a range that lies within a blob. */
export function withinBlob({ offset, length }: BlobRange, size: number): BlobRange {
  const start = Math.min(offset, size);
  return { offset: start, length: Math.max(0, Math.min(length, size - start)) };
}
