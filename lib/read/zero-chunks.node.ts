/** Finds the chunks of an index that are nothing but zeros, so that nobody needs to fetch them. */
import { compareBytes } from '../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { createDigest } from '../digest/digest.node.ts';

export interface ZeroFinder {
  /** Chunks of zeros from `first` on; single ones are not noticed. */
  countAt(first: number): number;
  /** Chunks from `first` on, at most `most`, in front of the next that {@link countAt} would find. */
  countBefore(first: number, most: number): number;
  /** Whether a chunk is zeros; single ones are not noticed. */
  isZero(chunk: number): boolean;
}

/** Zeros in a row make equal chunks: only where a chunk repeats is it compared with zeros. */
export function createZeroFinder(index: ChunkIndex): ZeroFinder {
  const digest = createDigest(index.digest);
  const zeroDigests = new Map<number, Uint8Array>();

  function zeroDigest(length: number): Uint8Array {
    const known = zeroDigests.get(length);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(CHUNK_ID_LENGTH);
    writeChunkId(digest.hash(new Uint8Array(length)), bytes, 0);
    zeroDigests.set(length, bytes);
    return bytes;
  }

  function repeats(i: number): boolean {
    if (i < 0 || i + 1 >= index.count || index.size(i) !== index.size(i + 1)) return false;
    return compareBytes(index.idBytes(i), index.idBytes(i + 1)) === 0;
  }

  function hasZeroDigest(i: number): boolean {
    return compareBytes(index.idBytes(i), zeroDigest(index.size(i))) === 0;
  }

  function startsAt(i: number): boolean {
    return repeats(i) && hasZeroDigest(i);
  }

  return {
    countAt(first) {
      if (!startsAt(first)) return 0;
      let last = first;
      while (repeats(last)) last += 1;
      return last - first + 1;
    },
    countBefore(first, most) {
      let count = 1;
      while (count < most && !startsAt(first + count)) count += 1;
      return count;
    },
    isZero: (chunk) => (repeats(chunk) || repeats(chunk - 1)) && hasZeroDigest(chunk),
  };
}
