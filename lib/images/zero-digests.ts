/** The digests of blocks of zeros: made once for all holes; journals and sessions name such blocks without them. */
import { type BlockDigest, DIGEST_LENGTH } from '../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../formats/block-table.ts';

export class ZeroDigests {
  readonly #digest: BlockDigest;
  readonly #blockSize: number;
  readonly #one = new Uint8Array(DIGEST_LENGTH);
  /** Of whole blocks, as many as were ever asked for at once. */
  #whole: Uint8Array = this.#one;

  constructor(digest: BlockDigest, blockSize: number) {
    this.#digest = digest;
    this.#blockSize = blockSize;
    digest.write(new Uint8Array(blockSize), this.#one, 0);
  }

  /**
   * Of the blocks of so many bytes, the last of which may be a part of a block.
   * @returns 32 bytes a block, which must not be changed
   */
  of(length: number): Uint8Array {
    if (length === this.#blockSize) return this.#one;
    const count = Math.floor(length / this.#blockSize);
    const rest = length - count * this.#blockSize;
    if (count * DIGEST_LENGTH > this.#whole.length) this.#grow(count);
    const whole = this.#whole.subarray(0, count * DIGEST_LENGTH);
    if (rest === 0) return whole;
    const all = new Uint8Array(whole.length + DIGEST_LENGTH);
    all.set(whole);
    this.#digest.write(new Uint8Array(rest), all, whole.length);
    return all;
  }

  /** Says of blocks of a table that they are zeros. */
  set(table: BlockTable, { first, count }: BlockRun): void {
    for (let i = first; i < first + count; i++) table.set(i, this.of(table.sizeOf(i)));
  }

  #grow(count: number): void {
    const digests = new Uint8Array(count * DIGEST_LENGTH);
    digests.set(this.#one);
    for (let done = 1; done < count; done *= 2) {
      digests.copyWithin(done * DIGEST_LENGTH, 0, Math.min(done, count - done) * DIGEST_LENGTH);
    }
    this.#whole = digests;
  }
}
