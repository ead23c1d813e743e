/**
 * Blob output into the file that is there, where the file system cannot share blocks: everything that
 * differs goes to a journal first, and into the file when all of it is there (spec/promises.md, 3).
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { tryLock } from '../os/lock.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { FileBlocks } from './file-blocks.node.ts';
import { type BlockTarget, NO_COUNTS, type TargetCounts, type TargetOptions } from './target.ts';
import { openUpdateTarget } from './target-update.node.ts';
import {
  type JournalActions,
  JournalWriter,
  journalPath,
  recoverJournal,
} from './update-journal.node.ts';

/** Cannot be opened for writing; it can be replaced all the same. */
const READ_ONLY = new Set(['EACCES', 'EPERM', 'ETXTBSY', 'EROFS']);

/** A file that is there and may be updated. */
export interface OldFile {
  /** Open for reading and writing, and locked. */
  readonly descriptor: number;
  readonly size: number;
}

/**
 * Opens a regular file for an update, after an update that was cut off before has been completed.
 * @returns undefined if it can only be replaced, for example because somebody else is updating it
 */
export function openOldFile(path: string): OldFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (READ_ONLY.has(errnoOf(error) ?? '')) return undefined;
    throw systemFailure('open', error, path);
  }
  try {
    if (tryLock(descriptor) && recover(descriptor, path)) {
      return { descriptor, size: fstatSync(descriptor).size };
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  closeSync(descriptor);
  return undefined;
}

/** @returns false if there is a journal that is not ours */
function recover(descriptor: number, path: string): boolean {
  const { ino, size } = fstatSync(descriptor, { bigint: true });
  const sync = (): void => syncFile(descriptor, path);
  const actions = { ...actionsOn(descriptor, path), sync };
  return recoverJournal(journalPath(path), { inode: ino, size: Number(size) }, actions);
}

/** @param old belongs to the target from now on, which closes it */
export function openInPlaceTarget(path: string, old: OldFile, options: TargetOptions): BlockTarget {
  const held = { descriptor: old.descriptor, size: Math.min(old.size, options.size) };
  return openUpdateTarget(new InPlaceTarget(path, old, options), held);
}

/** With a larger share of new bytes the file is better written anew. */
const LARGEST_CHANGE = 1 / 2;

class InPlaceTarget implements BlockTarget {
  readonly label: string;
  readonly mostChangedBytes: number;
  readonly #old: OldFile;
  readonly #options: TargetOptions;
  #journal: JournalWriter | undefined;
  #holeBytes = 0;
  #open = true;

  constructor(path: string, old: OldFile, options: TargetOptions) {
    this.label = path;
    this.#old = old;
    this.#options = options;
    this.mostChangedBytes = options.size * LARGEST_CHANGE;
  }

  get counts(): TargetCounts {
    return { ...NO_COUNTS, holeBytes: this.#holeBytes };
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#startedJournal().write(bytes, offset);
  }

  async zero(offset: number, length: number): Promise<void> {
    if (this.#options.punchHoles ?? true) this.#holeBytes += length;
    this.#startedJournal().zero(offset, length);
  }

  async commit(): Promise<void> {
    const { descriptor, size } = this.#old;
    if (size !== this.#options.size) this.#startedJournal();
    const journal = this.#journal;
    if (journal !== undefined) {
      await journal.finish();
      // From here on there is no way back: what is cut off now is completed by the next run.
      this.#journal = undefined;
      const { label } = this;
      journal.apply(actionsOn(descriptor, label, this.#options.punchHoles));
      syncFile(descriptor, label);
      journal.remove();
    }
    this.#close();
  }

  async discard(): Promise<void> {
    if (!this.#open) return;
    this.#journal?.remove();
    this.#close();
  }

  #startedJournal(): JournalWriter {
    this.#journal ??= new JournalWriter(journalPath(this.label), {
      inode: fstatSync(this.#old.descriptor, { bigint: true }).ino,
      oldSize: this.#old.size,
      newSize: this.#options.size,
    });
    return this.#journal;
  }

  #close(): void {
    this.#open = false;
    closeSync(this.#old.descriptor);
  }
}

function actionsOn(descriptor: number, path: string, punchHoles = true): JournalActions {
  const blocks = new FileBlocks(descriptor, path, false);
  return {
    write: (bytes, offset) => blocks.write(bytes, offset),
    zero(offset, length) {
      if (!punchHoles || !blocks.punch(offset, length)) blocks.writeZeros(offset, length);
    },
    resize(size) {
      try {
        ftruncateSync(descriptor, size);
      } catch (error) {
        throw systemFailure('set length', error, path);
      }
    },
  };
}

function syncFile(descriptor: number, path: string): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    throw systemFailure('sync', error, path);
  }
}
