/**
 * The digests of the blocks of an image, all of one size but the last: what a map, a fixed-block index
 * and one side of a comparison are in memory. One flat array of 32 bytes a block; offsets follow from
 * the block size. Implements spec/images.md, "Terms".
 */
import { DIGEST_LENGTH } from './block-digest.ts';

/** Blocks one behind the other. */
export interface BlockRun {
  readonly first: number;
  readonly count: number;
}

/** What a block has whose content nobody knows; no block has this digest. */
const UNKNOWN = new Uint8Array(DIGEST_LENGTH);

export class BlockTable {
  /** Bytes of every block but the last, which may be shorter. */
  readonly blockSize: number;
  #size: number;
  #digests: Uint8Array;

  /**
   * @param size bytes of the image
   * @param digests 32 bytes a block, kept, not copied; all blocks are unknown if left out
   */
  constructor(blockSize: number, size: number, digests?: Uint8Array) {
    this.blockSize = blockSize;
    this.#size = size;
    this.#digests = digests ?? new Uint8Array(blockCount(size, blockSize) * DIGEST_LENGTH);
  }

  /** Bytes of the image. */
  get size(): number {
    return this.#size;
  }

  get count(): number {
    return blockCount(this.#size, this.blockSize);
  }

  /** Bytes of block `i`. */
  sizeOf(i: number): number {
    return Math.min(this.blockSize, this.#size - i * this.blockSize);
  }

  /** The digests of some blocks; aliases the table until it is resized. */
  digests(first = 0, count = this.count - first): Uint8Array {
    return this.#digests.subarray(first * DIGEST_LENGTH, (first + count) * DIGEST_LENGTH);
  }

  /** Whether block `i` is there and has the digest that lies at `offset` of `digests`. */
  has(i: number, digests: Uint8Array, offset: number): boolean {
    return i < this.count && sameDigest(this.#digests, i * DIGEST_LENGTH, digests, offset);
  }

  isUnknown(i: number): boolean {
    return sameDigest(this.#digests, i * DIGEST_LENGTH, UNKNOWN, 0);
  }

  /** @param digests 32 bytes for each block from `first` on; the table must have them */
  set(first: number, digests: Uint8Array): void {
    this.#digests.set(digests, first * DIGEST_LENGTH);
  }

  forget({ first, count }: BlockRun): void {
    const end = Math.min(first + count, this.count);
    if (first < end) this.#digests.fill(0, first * DIGEST_LENGTH, end * DIGEST_LENGTH);
  }

  /**
   * Makes the image longer or shorter. Blocks that come, and the last one if it was or becomes a
   * shorter one, are unknown.
   */
  resize(size: number): void {
    if (size === this.#size) return;
    const kept = Math.floor(Math.min(size, this.#size) / this.blockSize);
    const length = blockCount(size, this.blockSize) * DIGEST_LENGTH;
    if (length > this.#digests.length) this.#grow(length);
    this.#digests.fill(0, kept * DIGEST_LENGTH);
    this.#size = size;
  }

  #grow(length: number): void {
    // Streams grow by a little many times.
    const digests = new Uint8Array(Math.max(length, Math.floor(this.#digests.length * 1.5)));
    digests.set(this.#digests);
    this.#digests = digests;
  }
}

function blockCount(size: number, blockSize: number): number {
  return Math.ceil(size / blockSize);
}

function sameDigest(a: Uint8Array, at: number, b: Uint8Array, bAt: number): boolean {
  for (let i = 0; i < DIGEST_LENGTH; i++) if (a[at + i] !== b[bAt + i]) return false;
  return true;
}
