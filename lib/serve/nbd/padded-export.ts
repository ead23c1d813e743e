/** A blob whose length is no multiple of a block, as one that has zeros behind its end. Used by mkdev. */
import {
  type BlobBytes,
  type BlobRange,
  type BlobReader,
  freeBytes,
  withinBlob,
} from '../../read/blob-reader.ts';

/** @param blockSize bytes; the blob itself if nothing is missing */
export function padToBlocks(blob: BlobReader, blockSize: number): BlobReader {
  const size = Math.ceil(blob.size / blockSize) * blockSize;
  if (size === blob.size) return blob;
  const padding = new Uint8Array(size - blob.size);
  return {
    label: blob.label,
    size,
    read(range, options) {
      const { offset, length } = withinBlob(range, size);
      const missing = Math.min(length, offset + length - blob.size);
      if (missing <= 0) return blob.read({ offset, length }, options);
      return withPadding(
        blob,
        { offset, length: length - missing },
        padding.subarray(0, missing),
        options,
      );
    },
    extentAt: (offset) =>
      offset < blob.size ? blob.extentAt(offset) : { end: size, isZero: true },
    close: () => blob.close(),
  };
}

function withPadding(
  blob: BlobReader,
  range: BlobRange,
  padding: Uint8Array,
  options: Parameters<BlobReader['read']>[1],
): ReturnType<BlobReader['read']> {
  if (range.length === 0) return freeBytes(padding);
  const read = blob.read(range, options);
  const padded = ({ pieces, length, release }: BlobBytes): BlobBytes => ({
    pieces: [...pieces, padding],
    length: length + padding.length,
    release,
  });
  return read instanceof Promise ? read.then(padded) : padded(read);
}
