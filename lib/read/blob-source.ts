/** A blob that can be read anywhere as the byte source of an archive, for finding something in it. */
import type { SignalOption } from '../../store/backend.ts';
import { type BlobReader, copyAndRelease } from './blob-reader.ts';
import type { ByteSource } from './byte-source.ts';

const LONGEST_READ = 64 * 1024;

/** @param blob stays open */
export function openBlobSource(blob: BlobReader, options: SignalOption = {}): ByteSource {
  const { label, size } = blob;
  return {
    label,
    size,
    seekable: true,
    async read(offset, end = size) {
      const length = Math.max(1, Math.min(LONGEST_READ, end - offset));
      return copyAndRelease(await blob.read({ offset, length }, options));
    },
    close: async () => {},
  };
}
