/** A new file that holds an image: written in order, zeros as holes, visible when it is complete. */
import { dataSpans } from '../../extract/sparse.node.ts';
import { NewImage } from '../new-image.node.ts';

const OUTPUT_MODE = 0o666;

export interface AppendedImage {
  /** Takes the next bytes; they may be reused when it resolves. @throws PipelineError about the path */
  write(bytes: Uint8Array): Promise<void>;
  /** Zeros follow. */
  skip(length: number): void;
  /** Bytes so far, and how many of them were written. */
  readonly size: number;
  readonly writtenBytes: number;
  /** Open for reading and writing. */
  readonly descriptor: number;
  /** Makes it visible under its name, and durable. */
  commit(): Promise<void>;
  /** Gives up. Does nothing after {@link commit}. */
  discard(): void;
}

/**
 * @param mode permission bits of what it is made from: nobody else may read it then either
 * @throws StorageError
 */
export function openAppendedImage(path: string, mode: number = OUTPUT_MODE): AppendedImage {
  const image = new NewImage(path, OUTPUT_MODE & mode);
  let [size, writtenBytes] = [0, 0];
  return {
    descriptor: image.descriptor,
    get size() {
      return size;
    },
    get writtenBytes() {
      return writtenBytes;
    },
    async write(bytes) {
      for (const { start, end } of dataSpans(bytes, size)) {
        await image.write(bytes.subarray(start, end), size + start);
        writtenBytes += end - start;
      }
      size += bytes.length;
    },
    skip(length) {
      size += length;
    },
    async commit() {
      image.resize(size);
      await image.commit();
    },
    discard: () => image.discard(),
  };
}
