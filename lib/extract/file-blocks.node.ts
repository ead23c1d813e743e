/** Writing into a regular file: bytes, holes, and blocks shared with other files. Used by blob targets. */
import { about } from '../../formats/errors.ts';
import { cloneRange } from '../os/clone.node.ts';
import { punchHole } from '../os/holes.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import { HOLE_BLOCK } from './sparse.node.ts';
import type { BlockOrigin } from './target.ts';

/** Shorter runs are copied: a shared extent of its own for each would cost more than it saves. */
const SMALLEST_SHARE = 16 * HOLE_BLOCK;

const ZEROS = Buffer.alloc(1 << 20);

export class FileBlocks {
  readonly #fd: number;
  readonly #label: string;
  #canShare: boolean;
  #canPunch = true;

  /** @param fd open for writing, and for reading where blocks are shared */
  constructor(fd: number, label: string, canShare: boolean) {
    this.#fd = fd;
    this.#label = label;
    this.#canShare = canShare;
  }

  /** @throws PipelineError */
  write(bytes: Uint8Array, offset: number): void {
    try {
      writeFullySync(this.#fd, bytes, offset);
    } catch (error) {
      throw systemFailure('write', error, this.#label);
    }
  }

  /** Makes a range zero by writing. @throws PipelineError */
  writeZeros(offset: number, length: number): void {
    for (let done = 0; done < length; done += ZEROS.length) {
      this.write(ZEROS.subarray(0, length - done), offset + done);
    }
  }

  /** Turns a range into a hole. @returns false where that is not supported */
  punch(offset: number, length: number): boolean {
    if (!this.#canPunch) return false;
    try {
      this.#canPunch = punchHole(this.#fd, offset, length);
    } catch (error) {
      throw about(this.#label, error);
    }
    return this.#canPunch;
  }

  /**
   * Puts `bytes` at `offset` by sharing the blocks of `origin`, where those lie alike in both files. What
   * was shared is read back: only then it is known to be the same.
   * @returns false if nothing was shared; write them then
   */
  share(bytes: Uint8Array, offset: number, origin: BlockOrigin): boolean {
    if (!this.#canShare || (origin.offset - offset) % HOLE_BLOCK !== 0) return false;
    const start = Math.ceil(offset / HOLE_BLOCK) * HOLE_BLOCK;
    const end = Math.floor((offset + bytes.length) / HOLE_BLOCK) * HOLE_BLOCK;
    if (end - start < SMALLEST_SHARE) return false;
    const from = start - offset + origin.offset;
    const range = { from, to: start, length: end - start };
    try {
      this.#canShare = cloneRange(origin.descriptor, this.#fd, range);
    } catch (error) {
      throw about(this.#label, error);
    }
    const shared = bytes.subarray(start - offset, end - offset);
    if (!this.#canShare || !this.#holds(shared, start)) return false;
    this.write(bytes.subarray(0, start - offset), offset);
    this.write(bytes.subarray(end - offset), end);
    return true;
  }

  #holds(bytes: Uint8Array, offset: number): boolean {
    const there = Buffer.allocUnsafe(bytes.length);
    try {
      if (readFully(this.#fd, there, offset) < there.length) return false;
    } catch (error) {
      throw systemFailure('read', error, this.#label);
    }
    return there.equals(bytes);
  }
}
