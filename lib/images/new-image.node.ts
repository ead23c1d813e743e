/** A new file for an image, written anywhere: nothing is there under its name before all is there. */
import { fchmodSync, fchownSync, ftruncateSync, type Stats, statSync } from 'node:fs';
import { about } from '../../formats/errors.ts';
import { type DurableFile, openDurableFile } from '../../store/backends/durable-write.node.ts';
import { PipelineError } from '../errors.ts';
import { cloneRange } from '../os/clone.node.ts';
import { copyBegin } from '../os/copy.node.ts';
import { punchHole } from '../os/holes.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import type { BlockPlace } from './delta/block-writer.ts';

const ZEROS = new Uint8Array(1 << 20);

export class NewImage implements BlockPlace {
  readonly #path: string;
  readonly #file: DurableFile;
  readonly #replaced: Stats | undefined;
  #canPunch = true;

  /** @param mode permission bits, unless a file is replaced, which gives its own and its owner */
  constructor(path: string, mode: number) {
    this.#path = path;
    this.#replaced = replacedFile(path);
    this.#file = openDurableFile(path, { mode: this.#replaced === undefined ? mode : 0o600 });
  }

  get descriptor(): number {
    return this.#file.descriptor;
  }

  /** Begins with what another file begins with, sharing its blocks where possible. */
  copyFrom(descriptor: number, length: number, isWhole: boolean): void {
    try {
      const isShared =
        isWhole &&
        length > 0 &&
        cloneRange(descriptor, this.descriptor, { from: 0, to: 0, length: 0 });
      if (!isShared) copyBegin(descriptor, this.descriptor, length, true);
    } catch (error) {
      throw about(this.#path, error);
    }
    this.resize(length);
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      writeFullySync(this.descriptor, bytes, offset);
    } catch (error) {
      throw systemFailure('write', error, this.#path);
    }
  }

  async zero(offset: number, length: number): Promise<boolean> {
    try {
      this.#canPunch = this.#canPunch && punchHole(this.descriptor, offset, length);
    } catch (error) {
      throw about(this.#path, error);
    }
    if (this.#canPunch) return true;
    for (let done = 0; done < length; done += ZEROS.length) {
      await this.write(ZEROS.subarray(0, length - done), offset + done);
    }
    return false;
  }

  resize(size: number): void {
    try {
      ftruncateSync(this.descriptor, size);
    } catch (error) {
      throw systemFailure('set length', error, this.#path);
    }
  }

  /** It is there, and on disk, when this resolves. */
  async commit(): Promise<void> {
    if (this.#replaced !== undefined) this.#takeOver(this.#replaced);
    await this.#file.commit({ sync: true });
  }

  discard(): void {
    this.#file.discard();
  }

  #takeOver({ uid, gid, mode }: Stats): void {
    let isOwned = true;
    try {
      fchownSync(this.descriptor, uid, gid);
    } catch {
      // Only the superuser can give files away.
      isOwned = false;
    }
    try {
      fchmodSync(this.descriptor, mode & (isOwned ? 0o7777 : 0o777));
    } catch (error) {
      throw systemFailure('set mode', error, this.#path);
    }
  }
}

function replacedFile(path: string): Stats | undefined {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, path);
  }
  if (stats.isFile()) return stats;
  const reason = 'it is no regular file, and a new image does not take its place';
  throw new PipelineError('USAGE', { subject: path, step: 'open', reason });
}
