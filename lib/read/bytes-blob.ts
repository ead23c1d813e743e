/** A blob that is in memory already: for inputs given as bytes, and the readable reference of readers. */
import { abortedError } from '../errors.ts';
import { type BlobReader, freeBytes, withinBlob } from './blob-reader.ts';

/** @param bytes must not change */
export function openBytesBlob(bytes: Uint8Array, label: string): BlobReader {
  let isClosed = false;
  return {
    label,
    size: bytes.length,
    read(range) {
      if (isClosed) throw abortedError();
      const { offset, length } = withinBlob(range, bytes.length);
      return freeBytes(bytes.subarray(offset, offset + length));
    },
    extentAt: () => ({ end: bytes.length, isZero: false }),
    async close() {
      isClosed = true;
    },
  };
}
