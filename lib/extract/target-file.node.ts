/**
 * Blob output to a regular file, new or replacing an older one: written under a temporary name in
 * the same folder and renamed when complete, so that there is only ever the old or the new content
 * (spec/promises.md, 3 and 8). Where the file system can share blocks, the temporary file begins as a
 * copy of what is there, and only what differs is written.
 */
import { fchmodSync, fchownSync, ftruncateSync, type Stats, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DurableFile, openDurableFile } from '../../store/backends/durable-write.node.ts';
import { PipelineError } from '../errors.ts';
import { cloneRange } from '../os/clone.node.ts';
import { setCopiedAtOnce } from '../os/inode-flags.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { FileBlocks } from './file-blocks.node.ts';
import { dataSpans, HOLE_BLOCK } from './sparse.node.ts';
import type {
  BlockOrigin,
  BlockTarget,
  HeldContent,
  TargetCounts,
  TargetOptions,
} from './target.ts';
import { openUpdateTarget } from './target-update.node.ts';

export interface FileTargetOptions extends TargetOptions {
  /** Attributes of the regular file that is to be replaced. */
  readonly replaces?: Stats;
  /** A file that is believed to hold nearly the same; the output begins as a copy of it. */
  readonly base?: HeldContent;
}

/**
 * A file that promises more than fits, because much of it is said to be zero, may fill the file
 * system up to this share and is then given up.
 */
const LARGEST_SHARE = 15 / 16;

/**
 * @param path where the result will be; no symbolic link. Its folder must exist.
 * @throws PipelineError `TARGET_FULL` if the file cannot fit; StorageError
 */
export function openFileTarget(path: string, options: FileTargetOptions): BlockTarget {
  const { base, reflink = true, replaces, size } = options;
  const file = openDurableFile(path, { mode: replaces === undefined ? 0o666 : 0o600 });
  const { descriptor } = file;
  try {
    const shares = base !== undefined && reflink && takeBlocks(descriptor, base);
    const budget = shares ? Math.floor(freeBytes(path) * LARGEST_SHARE) : allowance(path, options);
    // What is not there reads as zeros from now on.
    ftruncateSync(descriptor, size);
    const heldSize = shares ? Math.min(base.size, size) : 0;
    const target = new FileTarget(path, { ...options, file, budget, heldSize });
    return shares ? openUpdateTarget(target, { descriptor, size: heldSize }) : target;
  } catch (error) {
    file.discard();
    throw error instanceof PipelineError ? error : systemFailure('set length', error, path);
  }
}

/** @returns false where blocks cannot be shared */
function takeBlocks(descriptor: number, base: HeldContent): boolean {
  if (base.size === 0) return false;
  // What is written is seldom longer than a block; more would take space that nothing needs.
  const isLimited = setCopiedAtOnce(descriptor, HOLE_BLOCK);
  if (cloneRange(base.descriptor, descriptor, { from: 0, to: 0, length: 0 })) return true;
  if (isLimited) setCopiedAtOnce(descriptor, 0);
  return false;
}

interface OpenedFile extends FileTargetOptions {
  readonly file: DurableFile;
  /** Bytes that may be written, where the promised size does not fit. */
  readonly budget: number;
  /** Bytes that it shares with its base. */
  readonly heldSize: number;
}

class FileTarget implements BlockTarget {
  readonly label: string;
  readonly #file: DurableFile;
  readonly #blocks: FileBlocks;
  readonly #options: OpenedFile;
  readonly #punchHoles: boolean;
  #budget: number;
  #holeBytes = 0;
  #sharedBytes: number;
  #isTouched = false;

  constructor(path: string, options: OpenedFile) {
    this.label = path;
    this.#options = options;
    this.#file = options.file;
    this.#blocks = new FileBlocks(options.file.descriptor, path, options.reflink ?? true);
    this.#punchHoles = options.punchHoles ?? true;
    this.#budget = options.budget;
    this.#sharedBytes = options.heldSize;
  }

  get counts(): TargetCounts {
    return { holeBytes: this.#holeBytes, reflinkBytes: this.#sharedBytes, keptBytes: 0 };
  }

  async write(bytes: Uint8Array, offset: number, origin?: BlockOrigin): Promise<void> {
    this.#touch(offset, bytes.length);
    if (origin !== undefined && this.#blocks.share(bytes, offset, origin)) {
      this.#sharedBytes += bytes.length;
      return;
    }
    const whole = [{ start: 0, end: bytes.length }];
    const spans = this.#punchHoles && this.#isBlank ? dataSpans(bytes, offset) : whole;
    let written = 0;
    for (const { start, end } of spans) {
      written += end - start;
      this.#spend(end - start);
      this.#blocks.write(bytes.subarray(start, end), offset + start);
    }
    this.#holeBytes += bytes.length - written;
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#touch(offset, length);
    if (this.#punchHoles && (this.#isBlank || this.#blocks.punch(offset, length))) {
      this.#holeBytes += length;
      return;
    }
    this.#spend(length);
    this.#blocks.writeZeros(offset, length);
  }

  /**
   * The place of an older file is taken only by bytes that a power cut cannot undo. A file that would
   * be the same stays.
   */
  async commit(): Promise<void> {
    const { replaces, heldSize, size, base, durable = false } = this.#options;
    const isSame = !this.#isTouched && heldSize === size && base?.size === size;
    if (replaces !== undefined && isSame) return this.discard();
    if (heldSize > 0) setCopiedAtOnce(this.#file.descriptor, 0);
    if (replaces !== undefined) takeOver(this.#file.descriptor, replaces, this.label);
    await this.#file.commit({ sync: replaces !== undefined || durable });
  }

  async discard(): Promise<void> {
    this.#file.discard();
  }

  /** Nothing but zeros is where nothing was written. */
  get #isBlank(): boolean {
    return this.#options.heldSize === 0;
  }

  /** @throws PipelineError `TARGET_FULL` */
  #spend(byteCount: number): void {
    this.#budget -= byteCount;
    if (this.#budget < 0) throw tooLarge(this.label);
  }

  #touch(offset: number, length: number): void {
    this.#isTouched = true;
    const { heldSize } = this.#options;
    this.#sharedBytes -= Math.max(0, Math.min(offset + length, heldSize) - offset);
  }
}

/** Gives the new file the permissions of the old one. */
function takeOver(fd: number, old: Stats, path: string): void {
  const mode = old.mode & (keepOwner(fd, old) ? 0o7777 : 0o777);
  try {
    fchmodSync(fd, mode);
  } catch (error) {
    throw systemFailure('set mode', error, path);
  }
}

/** @returns how many bytes may be written. @throws PipelineError `TARGET_FULL` */
function allowance(path: string, options: TargetOptions): number {
  const free = freeBytes(path);
  if (options.size <= free) return Number.POSITIVE_INFINITY;
  if (options.punchHoles === false) throw tooLarge(path);
  return Math.floor(free * LARGEST_SHARE);
}

function freeBytes(path: string): number {
  try {
    const { bavail, bfree, bsize } = statfsSync(dirname(path));
    return (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  } catch (error) {
    throw systemFailure('check free space', error, path);
  }
}

function tooLarge(path: string): PipelineError {
  const reason = 'the index describes more data than fits on the file system';
  return new PipelineError('TARGET_FULL', { subject: path, step: 'write', reason });
}

/** Whether the new file now belongs to whom the old one belonged to. */
function keepOwner(fd: number, old: Stats): boolean {
  try {
    fchownSync(fd, old.uid, old.gid);
    return true;
  } catch {
    // Only the superuser can give files away; then the file is ours from now on.
    return false;
  }
}
