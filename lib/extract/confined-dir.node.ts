/**
 * A directory held open by descriptor: the one place where extraction touches trees. Every operation
 * takes one checked name and begins at the descriptor, so that neither names, planted links nor
 * directories that are swapped meanwhile lead outside (spec/promises.md, 5; spec/threats.md).
 */
import { closeSync, constants, fchmodSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import type { NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { isCasError } from '../../formats/errors.ts';
import { PipelineError } from '../errors.ts';
import { linkAt, openAt, removeDirectoryAt, renameAt, symlinkAt, unlinkAt } from '../os/at.node.ts';
import { type FileStat, statDescriptor, statEntry } from '../os/file-stat.node.ts';
import { makeFifo, makeNode, makeSocket } from '../os/nodes.node.ts';
import { exchange } from '../os/rename.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { descriptorPath, entryPath } from '../os/target.node.ts';
import {
  clearProtection,
  type DirectoryCreation,
  ERRNO,
  makeDirectory,
  needed,
  O_PATH,
  openIfDirectory,
  openIfPresent,
  requireProc,
  run,
  unlock,
} from './directory-calls.node.ts';
import { emptyDirectory } from './empty-directory.node.ts';
import { checkEntryName, temporaryName } from './entry-name.ts';

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants;
const { O_NONBLOCK, O_NOCTTY, O_NOATIME } = constants;
const CREATE = O_CREAT | O_EXCL | O_NOFOLLOW;
const READ_OLD = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/** Only these can have chattr flags, and opening a device or fifo has effects of its own. */
const MAY_BE_PROTECTED = new Set<NodeType | undefined>(['file', 'directory']);

const DEVICE_TYPES = { 'character-device': 0o020000, 'block-device': 0o060000 } as const;
/** How often something that others keep changing is tried. */
const MAX_TRIES = 16;

export interface ConfinementOptions {
  /** Clear the chattr flags that protect what has to be replaced or removed. */
  readonly undoImmutable?: boolean;
}

export interface OpenedDirectory {
  readonly directory: ConfinedDir;
  /** Nothing was there before. */
  readonly created: boolean;
}

/** What `mknod` makes. */
export interface SpecialNode {
  readonly type: 'character-device' | 'block-device' | 'fifo' | 'socket';
  /** Of a device. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Errors of all methods are PipelineErrors without subject; the caller knows the path. */
export class ConfinedDir {
  readonly fd: number;
  readonly #options: ConfinementOptions;
  #isPrepared = false;

  /** @param fd of an open directory, which `close` closes. */
  constructor(fd: number, options: ConfinementOptions) {
    this.fd = fd;
    this.#options = options;
  }

  /**
   * Opens the directory at the path the user gave; that one may lead through links.
   * @throws PipelineError `UNSAFE_TARGET` where /proc is missing
   */
  static open(path: string, options: ConfinementOptions = {}): ConfinedDir {
    requireProc();
    const fd = run('open directory', () => openSync(path, O_RDONLY | O_DIRECTORY));
    return new ConfinedDir(fd, options);
  }

  /**
   * Makes changes possible that are not yet: the owner gets his rights back, flags that forbid changes
   * are cleared where that is wanted. Called before the first change, so that a directory in which
   * nothing is to do stays as it is.
   */
  prepare(): void {
    if (this.#isPrepared) return;
    this.#isPrepared = true;
    unlock(this.fd);
    if (this.#options.undoImmutable === true) clearProtection(this.fd, true);
  }

  /**
   * Opens the directory `name`. Whatever else has that name, a link included, is removed first.
   * @throws PipelineError `UNSAFE_TARGET` if others keep replacing it
   */
  openDirectory(name: Uint8Array, creation: DirectoryCreation): OpenedDirectory {
    checkEntryName(name);
    const existing = creation.mayExist === true ? openIfDirectory(this.fd, name) : undefined;
    if (existing !== undefined) return this.#opened(existing, false);
    this.prepare();
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const created = makeDirectory(this.fd, name, creation);
      const fd = openIfDirectory(this.fd, name);
      if (fd !== undefined) {
        if (created && creation.asSubvolume === true) fchmodSync(fd, creation.permissions);
        return this.#opened(fd, created);
      }
      this.unlink(name);
    }
    const reason = 'somebody keeps replacing this directory';
    throw new PipelineError('UNSAFE_TARGET', { step: 'open directory', reason });
  }

  /** A new empty file, open for writing. @param permissions the umask applies. */
  createFile(name: Uint8Array, permissions: number): number {
    return this.#create(name, O_WRONLY, permissions) ?? taken('create file');
  }

  /** The same, open for reading, too. */
  createReadableFile(name: Uint8Array, permissions: number): number {
    return this.#create(name, O_RDWR, permissions) ?? taken('create file');
  }

  /** @returns undefined if something has that name */
  createFileUnlessTaken(name: Uint8Array, permissions: number): number | undefined {
    return this.#create(name, O_WRONLY, permissions);
  }

  createSymlink(name: Uint8Array, target: Uint8Array): void {
    if (!this.createSymlinkUnlessTaken(name, target)) taken('create symbolic link');
  }

  /** Like {@link createSymlink}. @returns false if something has that name */
  createSymlinkUnlessTaken(name: Uint8Array, target: Uint8Array): boolean {
    checkEntryName(name);
    this.prepare();
    const outcome = symlinkAt(this.fd, name, target);
    if (outcome === -ERRNO.EEXIST) return false;
    return needed('create symbolic link', outcome) >= 0;
  }

  /** @param permissions the umask applies. */
  createSpecial(name: Uint8Array, node: SpecialNode, permissions: number): void {
    const path = this.#path(name);
    this.prepare();
    const { major, minor } = node.device ?? { major: 0, minor: 0 };
    if (node.type === 'fifo') makeFifo(path, permissions);
    else if (node.type === 'socket') makeSocket(path, permissions);
    else makeNode(path, DEVICE_TYPES[node.type] | permissions, major, minor);
  }

  /** A descriptor that stands for the entry itself and allows to change its attributes. */
  openForAttributes(name: Uint8Array): number {
    checkEntryName(name);
    return needed('open', openAt(this.fd, name, O_PATH | O_NOFOLLOW));
  }

  /**
   * A descriptor of the file `name` for reading; opening waits for nothing, whatever has the name
   * meanwhile. The caller looks at what it is before that, and afterwards.
   * @returns undefined if it cannot be opened
   */
  openForReading(name: Uint8Array): number | undefined {
    checkEntryName(name);
    const fd = openAt(this.fd, name, READ_OLD | O_NOATIME);
    if (fd >= 0) return fd;
    if (fd !== -ERRNO.EPERM) return undefined;
    const plain = openAt(this.fd, name, READ_OLD);
    return plain >= 0 ? plain : undefined;
  }

  /**
   * Gives the complete `temporary` the place of `name`, whatever was there.
   * @param fd of a file with content: it is on disk before an older file is lost
   */
  replace(temporary: Uint8Array, name: Uint8Array, fd?: number): void {
    checkEntryName(temporary);
    checkEntryName(name);
    this.prepare();
    if (fd !== undefined && this.lstat(name) !== undefined) run('sync', () => fsyncSync(fd));
    let outcome = renameAt(this.fd, temporary, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) {
      outcome = renameAt(this.fd, temporary, name);
    }
    if (outcome >= 0) return;
    if (outcome !== -ERRNO.EISDIR) throw systemFailure('rename into place', -outcome);
    this.#replaceDirectory(temporary, name);
  }

  /** Gives an open file another name, which is free here. @returns false if that is not allowed */
  link(fd: number, name: Uint8Array): boolean {
    checkEntryName(name);
    this.prepare();
    return linkAt(fd, this.fd, name) >= 0;
  }

  /** Removes an entry with everything in it; succeeds if it is not there. */
  remove(name: Uint8Array): void {
    checkEntryName(name);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (this.unlink(name)) return;
      const directory = this.openIfDirectory(name);
      if (directory === undefined) continue;
      try {
        emptyDirectory(directory);
      } finally {
        directory.close();
      }
      if (this.removeDirectory(name)) return;
    }
    throw systemFailure('remove', 'ENOTEMPTY');
  }

  /** Attributes of an entry, links not followed; undefined if it is not there. */
  lstat(name: Uint8Array): FileStat | undefined {
    checkEntryName(name);
    const fd = openIfPresent(this.fd, name);
    if (fd === undefined) return undefined;
    try {
      return statDescriptor(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** The same in one call, for an entry that is there; undefined also if that cannot be told. */
  look(name: Uint8Array): FileStat | undefined {
    checkEntryName(name);
    try {
      return statEntry(this.fd, name);
    } catch (error) {
      if (isCasError(error)) return undefined;
      throw error;
    }
  }

  /** All names, in no particular order. */
  list(): readonly Buffer[] {
    const path = descriptorPath(this.fd);
    return run('list directory', () => readdirSync(path, { encoding: 'buffer' }));
  }

  close(): void {
    closeSync(this.fd);
  }

  #opened(fd: number, created: boolean): OpenedDirectory {
    return { directory: new ConfinedDir(fd, this.#options), created };
  }

  /** @returns undefined if something has that name */
  #create(name: Uint8Array, access: number, permissions: number): number | undefined {
    checkEntryName(name);
    this.prepare();
    const fd = openAt(this.fd, name, access | CREATE, permissions);
    if (fd >= 0) return fd;
    if (fd === -ERRNO.EEXIST) return undefined;
    if (fd === -ERRNO.EPERM) clearProtection(this.fd, false);
    throw systemFailure('create file', -fd);
  }

  #path(name: Uint8Array): Buffer {
    checkEntryName(name);
    return entryPath(this.fd, name);
  }

  /** Removes anything but a directory. @returns false if a directory is there. */
  unlink(name: Uint8Array): boolean {
    checkEntryName(name);
    this.prepare();
    let outcome = unlinkAt(this.fd, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) outcome = unlinkAt(this.fd, name);
    if (outcome >= 0 || outcome === -ERRNO.ENOENT) return true;
    if (outcome === -ERRNO.EISDIR) return false;
    throw systemFailure('remove', -outcome);
  }

  /** Removes an empty directory. @returns false if it is not empty, or something else. */
  removeDirectory(name: Uint8Array): boolean {
    checkEntryName(name);
    this.prepare();
    let outcome = removeDirectoryAt(this.fd, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) {
      outcome = removeDirectoryAt(this.fd, name);
    }
    if (outcome >= 0 || outcome === -ERRNO.ENOENT) return true;
    if (outcome === -ERRNO.ENOTEMPTY || outcome === -ERRNO.ENOTDIR) return false;
    throw systemFailure('remove directory', -outcome);
  }

  /** Opens a directory that is there. @returns undefined if something else or nothing is there */
  openIfDirectory(name: Uint8Array): ConfinedDir | undefined {
    checkEntryName(name);
    const fd = openIfDirectory(this.fd, name);
    return fd === undefined ? undefined : new ConfinedDir(fd, this.#options);
  }

  /** Gives a directory another name in `to`, where nothing has it. */
  move(name: Uint8Array, to: { readonly fd: number }, newName: Uint8Array): void {
    checkEntryName(name);
    checkEntryName(newName);
    needed('remove', renameAt(this.fd, name, newName, to.fd));
  }

  /** A rename cannot replace a directory: they swap names, and the directory is removed then. */
  #replaceDirectory(temporary: Uint8Array, name: Uint8Array): void {
    if (exchange(this.#path(temporary), this.#path(name))) {
      this.remove(temporary);
      return;
    }
    const aside = temporaryName(name);
    needed('rename aside', renameAt(this.fd, name, aside));
    needed('rename into place', renameAt(this.fd, temporary, name));
    this.remove(aside);
  }

  /**
   * Clears the flags that forbid to replace or remove `name`, if that is wanted.
   * @returns whether it did something
   * @throws PipelineError `DENIED` if there are such flags and they must stay
   */
  #undoProtection(name: Uint8Array): boolean {
    const undo = this.#options.undoImmutable === true;
    const here = clearProtection(this.fd, undo);
    const holder = openIfPresent(this.fd, name);
    if (holder === undefined) return here;
    try {
      if (!MAY_BE_PROTECTED.has(nodeTypeOfMode(statDescriptor(holder).mode))) return here;
      const self = descriptorPath(holder);
      const fd = run('clear immutable flag', () => openSync(self, O_RDONLY | O_NONBLOCK));
      try {
        return clearProtection(fd, undo) || here;
      } finally {
        closeSync(fd);
      }
    } finally {
      closeSync(holder);
    }
  }
}

function taken(step: string): never {
  throw systemFailure(step, ERRNO.EEXIST);
}
