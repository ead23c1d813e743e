/**
 * Versions that go into a file that is not there yet, which appears when it is complete, or to a
 * stream (spec/images.md, "Version chains"). Used by get of a version.
 */
import { type BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { writeFully } from '../../os/write.node.ts';
import type { BlockSink } from '../block-sink.ts';
import { NewImage } from '../new-image.node.ts';

/** Takes blocks in order. */
export interface RestoredImage extends Pick<BlockSink, 'known' | 'write'> {
  /** All of it has come, and is on disk if it is a file. */
  finish(size: number): Promise<void>;
  /** Does nothing after {@link finish}. */
  abandon(): void;
}

const FILE_MODE = 0o666;
const ZEROS = new Uint8Array(1024 * 1024);

/** @param path nothing is there */
export function openNewFile(path: string, blockSize: number): RestoredImage {
  const image = new NewImage(path, FILE_MODE);
  return {
    known: new BlockTable(blockSize, 0),
    async write({ first }: BlockRun, _digests, bytes) {
      if (bytes !== undefined) await image.write(bytes, first * blockSize);
    },
    async finish(size) {
      image.resize(size);
      await image.commit();
    },
    abandon: () => image.discard(),
  };
}

/** @param size of the image. @param descriptor open for writing, stays open */
export function openImageStream(
  descriptor: number,
  blockSize: number,
  size: number,
): RestoredImage {
  return {
    known: new BlockTable(blockSize, 0),
    async write({ first, count }, _digests, bytes) {
      if (bytes !== undefined) return writeFully(descriptor, bytes, null);
      const end = Math.min(size, (first + count) * blockSize);
      for (let left = end - first * blockSize; left > 0; left -= ZEROS.length) {
        await writeFully(descriptor, ZEROS.subarray(0, Math.min(left, ZEROS.length)), null);
      }
    },
    async finish() {},
    abandon() {},
  };
}
