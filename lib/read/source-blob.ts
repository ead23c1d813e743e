/**
 * A byte source that can be read anywhere as a blob, for looking into it: one read at a time, whoever
 * asks. Used where the bytes of an archive are read front to back afterwards.
 */

import { type BlobBytes, type BlobReader, freeBytes, withinBlob } from './blob-reader.ts';
import type { ByteSource } from './byte-source.ts';

/** @param source stays open, and is read by nobody else at the same time */
export function openSourceBlob(source: ByteSource, size: number): BlobReader {
  let last: Promise<unknown> = Promise.resolve();
  const take = async (offset: number, end: number): Promise<BlobBytes> => {
    const bytes = new Uint8Array(end - offset);
    let length = 0;
    while (length < bytes.length) {
      const part = await source.read(offset + length, end);
      if (part.length === 0) break;
      bytes.set(part.subarray(0, bytes.length - length), length);
      length += part.length;
    }
    return freeBytes(bytes.subarray(0, length));
  };
  return {
    label: source.label,
    size,
    read(range) {
      const { offset, length } = withinBlob(range, size);
      const taken = last.then(() => take(offset, offset + length));
      last = taken.catch(() => {});
      return taken;
    },
    extentAt: () => ({ end: size, isZero: false }),
    close: async () => {},
  };
}
