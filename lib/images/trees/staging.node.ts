/**
 * A folder in the target in which content waits that is needed while its old place is already taken, or
 * that is wanted at several places. It is gone when the work is done; what a killed run leaves there is
 * found again by the next one, and removed. Used by the receiving side of a tree session.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, ftruncateSync, openSync } from 'node:fs';
import { asciiBytes } from '../../../formats/bytes.ts';
import { ConfinedDir } from '../../extract/confined-dir.node.ts';
import { run } from '../../extract/directory-calls.node.ts';
import { cloneRange } from '../../os/clone.node.ts';
import { copyBegin } from '../../os/copy.node.ts';
import { statDescriptor } from '../../os/file-stat.node.ts';
import { closeEntry } from '../../os/open.node.ts';
import { fileTime, setModificationTime } from '../../os/times.node.ts';
import { type OwnFile, openOwn } from './find-content.node.ts';
import { isStagingName } from './listing.node.ts';

const PRIVATE = 0o700;
const WHOLE = { from: 0, to: 0, length: 0 } as const;

/** Content in the staging folder. */
export interface StagedFile {
  readonly name: Uint8Array;
  readonly size: number;
  /** It is the old file itself, which has no other name any more once the old one is gone. */
  readonly isOnly: boolean;
}

export class Staging {
  readonly #root: number;
  #folder: { readonly name: Uint8Array; readonly directory: ConfinedDir } | undefined;
  #count = 0;

  /** @param root descriptor of the target. */
  constructor(root: number) {
    this.#root = root;
  }

  /**
   * Keeps the content of a file of ours, without a copy where the file system can.
   * @returns undefined if it cannot be read any more
   */
  keep(file: OwnFile): StagedFile | undefined {
    const fd = openOwn(this.#root, file);
    if (fd === undefined) return undefined;
    try {
      const { directory } = this.#open();
      const name = this.#nextName();
      const { linkCount } = statDescriptor(fd);
      if (directory.link(fd, name)) return { name, size: file.entry.size, isOnly: linkCount === 1 };
      const copy = directory.createReadableFile(name, 0o600);
      try {
        if (!cloneRange(fd, copy, WHOLE)) {
          copyBegin(fd, copy, file.entry.size, true);
          run('set length', () => ftruncateSync(copy, file.entry.size));
        }
      } finally {
        closeSync(copy);
      }
      return { name, size: file.entry.size, isOnly: false };
    } finally {
      closeEntry(fd);
    }
  }

  /** A new file for content that comes; the caller closes the descriptor. */
  create(size: number): { readonly fd: number; readonly file: StagedFile } {
    const name = this.#nextName();
    const fd = this.#open().directory.createReadableFile(name, 0o600);
    return { fd, file: { name, size, isOnly: false } };
  }

  /** The caller closes the descriptor by `closeEntry`. */
  openFile({ name }: StagedFile): number | undefined {
    return this.#folder?.directory.openForReading(name);
  }

  /** Makes the folder now, so that it is among what the target holds. */
  prepare(): void {
    this.#open();
  }

  /** Removes the folder, and what earlier runs have left; the target's time stays. */
  remove(): void {
    this.#folder?.directory.close();
    this.#folder = undefined;
    const target = ConfinedDir.open(`/proc/self/fd/${this.#root}`);
    try {
      const left = target.list().filter(isStagingName);
      if (left.length === 0) return;
      const { mtimeNs } = statDescriptor(this.#root);
      for (const name of left) target.remove(name);
      setModificationTime(this.#root, fileTime(mtimeNs));
    } finally {
      target.close();
    }
  }

  #open(): { readonly name: Uint8Array; readonly directory: ConfinedDir } {
    if (this.#folder !== undefined) return this.#folder;
    const name = asciiBytes(`.casync-session.${randomBytes(8).toString('hex')}`);
    const target = ConfinedDir.open(`/proc/self/fd/${this.#root}`);
    try {
      const { directory } = target.openDirectory(name, { permissions: PRIVATE });
      this.#folder = { name, directory };
    } finally {
      target.close();
    }
    return this.#folder;
  }

  #nextName(): Uint8Array {
    this.#count += 1;
    return asciiBytes(this.#count.toString(36));
  }
}

/** The target as a descriptor. @throws the error of node:fs */
export function openTarget(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}
