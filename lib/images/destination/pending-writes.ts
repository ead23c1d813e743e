/**
 * Blocks that have been taken and not been written yet: the journal must name them first. Copies of
 * their bytes, so that many small ones cost one wait for the disk.
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { IntentRecord, IntentRun } from '../../../formats/map-journal.ts';

const LARGEST_BUFFER = 4 * 1024 * 1024;
const MOST_RUNS = 32_768;

export interface PendingPiece {
  readonly offset: number;
  readonly length: number;
  /** Undefined for zeros. */
  readonly bytes: Uint8Array | undefined;
}

/** Blocks one behind the other, offered for taking. */
export interface OfferedBlocks {
  readonly digests: Uint8Array;
  /** Undefined for zeros. */
  readonly bytes: Uint8Array | undefined;
  /** Bytes of all of them. */
  readonly length: number;
}

interface PendingRun extends IntentRun {
  readonly length: number;
  /** Where its bytes are in the buffer. */
  readonly at: number;
}

export class PendingWrites {
  readonly #blockSize: number;
  readonly #size: number;
  #buffer: Uint8Array | undefined;
  readonly #digests: Uint8Array;
  readonly #runs: PendingRun[] = [];
  #filled = 0;
  #digestCount = 0;

  /** @param batch bytes that are never exceeded, but by a single block */
  constructor(blockSize: number, batch: number) {
    const count = Math.max(1, Math.floor(Math.min(LARGEST_BUFFER, batch) / blockSize));
    this.#blockSize = blockSize;
    this.#size = count * blockSize;
    this.#digests = new Uint8Array(count * DIGEST_LENGTH);
  }

  /** Bytes that are to be written; zeros do not count. */
  get byteCount(): number {
    return this.#filled;
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  get isFull(): boolean {
    return this.#size - this.#filled < this.#blockSize || this.#runs.length >= MOST_RUNS;
  }

  /** Takes as much as there is room for. @returns what it took, in blocks and bytes */
  add(first: number, { digests, bytes, length }: OfferedBlocks): { count: number; length: number } {
    if (bytes === undefined) {
      const count = Math.ceil(length / this.#blockSize);
      this.#push({ first, count, isZeros: true, length, at: 0 });
      return { count, length };
    }
    const room = Math.floor((this.#size - this.#filled) / this.#blockSize) * this.#blockSize;
    const taken = Math.min(length, room);
    const count = Math.ceil(taken / this.#blockSize);
    this.#buffer ??= new Uint8Array(this.#size);
    this.#buffer.set(bytes.subarray(0, taken), this.#filled);
    this.#digests.set(
      digests.subarray(0, count * DIGEST_LENGTH),
      this.#digestCount * DIGEST_LENGTH,
    );
    this.#push({ first, count, isZeros: false, length: taken, at: this.#filled });
    this.#filled += count * this.#blockSize;
    this.#digestCount += count;
    return { count, length: taken };
  }

  #push(run: PendingRun): void {
    const last = this.#runs.at(-1);
    const isNext =
      last !== undefined &&
      last.isZeros === run.isZeros &&
      last.first + last.count === run.first &&
      last.length === last.count * this.#blockSize;
    if (!isNext) {
      this.#runs.push(run);
      return;
    }
    const [count, length] = [last.count + run.count, last.length + run.length];
    this.#runs[this.#runs.length - 1] = { ...last, count, length };
  }

  /** Valid until {@link clear}. */
  *pieces(): Generator<PendingPiece> {
    for (const { first, length, isZeros, at } of this.#runs) {
      const bytes = isZeros ? undefined : this.#buffer?.subarray(at, at + length);
      yield { offset: first * this.#blockSize, length, bytes };
    }
  }

  /** What the journal says of them. @param imageSize bytes of the image as far as it is known */
  intent(imageSize: number): IntentRecord {
    const runs = this.#runs.map(({ first, count, isZeros }) => ({ first, count, isZeros }));
    const digests = this.#digests.subarray(0, this.#digestCount * DIGEST_LENGTH);
    return { kind: 'intent', imageSize, runs, digests };
  }

  clear(): void {
    this.#runs.length = 0;
    this.#filled = 0;
    this.#digestCount = 0;
  }
}
