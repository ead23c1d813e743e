/**
 * What is given away as a block device: a blob, alone or below a layer that takes writes. Used by the
 * NBD server and by kernel devices.
 */
import type { SignalOption } from '../../../store/backend.ts';
import type { BlobRange, BlobReader } from '../../read/blob-reader.ts';

/** Changes to the bytes of an export. Calls may overlap; those to the same bytes end in any order. */
export interface BlockWriter {
  /** @param bytes may be reused when the promise is settled */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes a range zeros; without `keep` the space behind it may be given back. */
  zero(range: BlobRange, options?: { readonly keep?: boolean }): Promise<void>;
  /** Resolves when everything that was written before the call survives a power cut. */
  flush(options?: SignalOption): Promise<void>;
}

export interface BlockExport extends BlobReader {
  /** Absent where nothing may be written. */
  readonly writer?: BlockWriter;
}
