/**
 * Blob output to a regular file, new or replacing an older one: written under a temporary name in
 * the same folder and renamed when complete, so that there is only ever the old or the new content
 * (spec/promises.md, 3 and 8).
 */
import { fchmodSync, fchownSync, ftruncateSync, type Stats, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DurableFile, openDurableFile } from '../../store/backends/durable-write.node.ts';
import { PipelineError } from '../errors.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { dataSpans } from './sparse.node.ts';
import type { BlockTarget, TargetOptions } from './target.ts';

export interface FileTargetOptions extends TargetOptions {
  /** Attributes of the regular file that is to be replaced. */
  readonly replaces?: Stats;
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
  const budget = allowance(path, options);
  const file = openDurableFile(path, { mode: options.replaces === undefined ? 0o666 : 0o600 });
  try {
    // What is not written reads as zeros from now on.
    ftruncateSync(file.descriptor, options.size);
  } catch (error) {
    file.discard();
    throw systemFailure('set length', error, path);
  }
  return new FileTarget(path, { ...options, file, budget });
}

interface OpenedFile extends FileTargetOptions {
  readonly file: DurableFile;
  /** Bytes that may be written, where the promised size does not fit. */
  readonly budget: number;
}

class FileTarget implements BlockTarget {
  readonly label: string;
  readonly #file: DurableFile;
  readonly #punchHoles: boolean;
  readonly #replaces: Stats | undefined;
  readonly #durable: boolean;
  #budget: number;

  constructor(path: string, options: OpenedFile) {
    this.label = path;
    this.#file = options.file;
    this.#punchHoles = options.punchHoles ?? true;
    this.#replaces = options.replaces;
    this.#durable = options.durable ?? false;
    this.#budget = options.budget;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    const whole = [{ start: 0, end: bytes.length }];
    const spans = this.#punchHoles ? dataSpans(bytes, offset) : whole;
    for (const { start, end } of spans) {
      this.#budget -= end - start;
      if (this.#budget < 0) throw tooLarge(this.label);
      writeRange(this.#file.descriptor, bytes.subarray(start, end), offset + start, this.label);
    }
  }

  async zero(offset: number, length: number): Promise<void> {
    if (this.#punchHoles) return;
    const zeros = Buffer.alloc(Math.min(length, 1 << 20));
    for (let done = 0; done < length; done += zeros.length) {
      await this.write(zeros.subarray(0, length - done), offset + done);
    }
  }

  /** The place of an older file is taken only by bytes that a power cut cannot undo. */
  async commit(): Promise<void> {
    const old = this.#replaces;
    if (old !== undefined) takeOver(this.#file.descriptor, old, this.label);
    await this.#file.commit({ sync: old !== undefined || this.#durable });
  }

  async discard(): Promise<void> {
    this.#file.discard();
  }
}

function writeRange(fd: number, bytes: Uint8Array, offset: number, label: string): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    }
  } catch (error) {
    throw systemFailure('write', error, label);
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
