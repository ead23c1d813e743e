/** Memory for what is read of files: the larger pieces of it are used again. Used by file-blob.node.ts. */
import { Buffer } from 'node:buffer';
import { type BlobBytes, freeBytes } from './blob-reader.ts';

/** Pieces up to this length are left to the garbage collector. */
const SMALL = 64 * 1024;
const PIECE = 1024 * 1024;
/** Pieces that wait to be used again, at most. */
const MOST_FREE = 16;

export class FileBuffers {
  readonly #free: Uint8Array[] = [];

  /** Memory for as many bytes; what is in it is undefined. */
  take(length: number): BlobBytes {
    if (length <= SMALL) return freeBytes(Buffer.allocUnsafe(length));
    let buffers: Uint8Array[] = [];
    const pieces: Uint8Array[] = [];
    for (let rest = length; rest > 0; rest -= PIECE) {
      const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE);
      buffers.push(buffer);
      pieces.push(buffer.subarray(0, rest));
    }
    const release = (): void => {
      this.#free.push(...buffers.slice(0, MOST_FREE - this.#free.length));
      buffers = [];
    };
    return { pieces, length, release };
  }
}
