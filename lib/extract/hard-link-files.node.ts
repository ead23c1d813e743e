/**
 * Files of which a tree has several names: each further name can share its blocks with what the first
 * has become, also where it cannot share them with the file that is read. Used by `clone`.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { type FileStat, hasChanged, statDescriptor } from '../os/file-stat.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { descriptorPath } from '../os/target.node.ts';

/** What the first name of a file has become. */
interface Made {
  readonly fd: number;
  readonly stat: FileStat;
  /** The file that was read, as it was then. */
  readonly source: FileStat;
}

/** Each is an open file; those that have waited longest for their other names are given up. */
const MOST_FILES = 128;

export class HardLinkFiles {
  /** By file system and inode of the file that was read. */
  readonly #made = new Map<string, Made>();

  /** @returns a descriptor of what an earlier name of the file has become, if both are unchanged */
  find(source: FileStat): number | undefined {
    const made = this.#made.get(keyOf(source));
    if (made === undefined || hasChanged(made.source, source)) return undefined;
    return hasChanged(made.stat, statDescriptor(made.fd)) ? undefined : made.fd;
  }

  /** Keeps what a name of the file has become. @param fd of it, which stays the caller's */
  add(source: FileStat, fd: number): void {
    const key = keyOf(source);
    if (this.#made.has(key)) return;
    try {
      const own = openSync(descriptorPath(fd), constants.O_RDONLY);
      this.#made.set(key, { fd: own, stat: statDescriptor(own), source });
    } catch (error) {
      throw systemFailure('open', error);
    }
    const [oldest] = this.#made.keys();
    if (this.#made.size > MOST_FILES) this.#remove(oldest);
  }

  close(): void {
    for (const key of [...this.#made.keys()]) this.#remove(key);
  }

  #remove(key: string): void {
    const made = this.#made.get(key);
    if (made === undefined) return;
    this.#made.delete(key);
    closeSync(made.fd);
  }
}

function keyOf({ device, inodeHigh, inodeLow }: FileStat): string {
  return `${device} ${inodeHigh} ${inodeLow}`;
}
