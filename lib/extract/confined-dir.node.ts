/**
 * A directory held open by descriptor: the one place where extraction touches trees. Every operation
 * takes one checked name and begins at the descriptor, so that neither names, planted links nor
 * directories that are swapped meanwhile lead outside (spec/promises.md, 5; spec/threats.md).
 */
import { closeSync, constants, fchmodSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import type { NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { PipelineError } from '../errors.ts';
import { openAt, removeDirectoryAt, renameAt, symlinkAt, unlinkAt } from '../os/at.node.ts';
import { type FileStat, statDescriptor } from '../os/file-stat.node.ts';
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
import { checkEntryName, temporaryName } from './entry-name.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const CREATE_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** Only these can have chattr flags, and opening a device or fifo has effects of its own. */
const MAY_BE_PROTECTED = new Set<NodeType | undefined>(['file', 'directory']);

const DEVICE_TYPES = { 'character-device': 0o020000, 'block-device': 0o060000 } as const;
/** How often something that others keep changing is tried. */
const MAX_TRIES = 16;
/** Directories held open at a time while a tree is removed. */
const MAX_REMOVAL_DEPTH = 32;

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

/** A directory that is being emptied, and what is left in it. */
interface Removal {
  readonly directory: ConfinedDir;
  readonly names: Buffer[];
}

/** Errors of all methods are PipelineErrors without subject; the caller knows the path. */
export class ConfinedDir {
  readonly fd: number;
  readonly #options: ConfinementOptions;

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
    unlock(fd);
    if (options.undoImmutable === true) clearProtection(fd, true);
    return new ConfinedDir(fd, options);
  }

  /**
   * Opens the directory `name`. Whatever else has that name, a link included, is removed first.
   * @throws PipelineError `UNSAFE_TARGET` if others keep replacing it
   */
  openDirectory(name: Uint8Array, creation: DirectoryCreation): OpenedDirectory {
    checkEntryName(name);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const created = makeDirectory(this.fd, name, creation);
      const fd = openIfDirectory(this.fd, name);
      if (fd !== undefined) {
        if (created && creation.asSubvolume === true) fchmodSync(fd, creation.permissions);
        if (!created && this.#options.undoImmutable === true) clearProtection(fd, true);
        return { directory: new ConfinedDir(fd, this.#options), created };
      }
      this.#unlink(name);
    }
    const reason = 'somebody keeps replacing this directory';
    throw new PipelineError('UNSAFE_TARGET', { step: 'open directory', reason });
  }

  /** A new empty file, open for writing. @param permissions the umask applies. */
  createFile(name: Uint8Array, permissions: number): number {
    return this.createFileUnlessTaken(name, permissions) ?? taken('create file');
  }

  /** @returns undefined if something has that name */
  createFileUnlessTaken(name: Uint8Array, permissions: number): number | undefined {
    checkEntryName(name);
    const fd = openAt(this.fd, name, CREATE_FILE, permissions);
    if (fd >= 0) return fd;
    if (fd === -ERRNO.EEXIST) return undefined;
    if (fd === -ERRNO.EPERM) clearProtection(this.fd, false);
    throw systemFailure('create file', -fd);
  }

  createSymlink(name: Uint8Array, target: Uint8Array): void {
    if (!this.createSymlinkUnlessTaken(name, target)) taken('create symbolic link');
  }

  /** Like {@link createSymlink}. @returns false if something has that name */
  createSymlinkUnlessTaken(name: Uint8Array, target: Uint8Array): boolean {
    checkEntryName(name);
    const outcome = symlinkAt(this.fd, name, target);
    if (outcome === -ERRNO.EEXIST) return false;
    return needed('create symbolic link', outcome) >= 0;
  }

  /** @param permissions the umask applies. */
  createSpecial(name: Uint8Array, node: SpecialNode, permissions: number): void {
    const path = this.#path(name);
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
   * Gives the complete `temporary` the place of `name`, whatever was there.
   * @param fd of a file with content: it is on disk before an older file is lost
   */
  replace(temporary: Uint8Array, name: Uint8Array, fd?: number): void {
    checkEntryName(temporary);
    checkEntryName(name);
    if (fd !== undefined && this.lstat(name) !== undefined) run('sync', () => fsyncSync(fd));
    let outcome = renameAt(this.fd, temporary, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) {
      outcome = renameAt(this.fd, temporary, name);
    }
    if (outcome >= 0) return;
    if (outcome !== -ERRNO.EISDIR) throw systemFailure('rename into place', -outcome);
    this.#replaceDirectory(temporary, name);
  }

  /** Removes an entry with everything in it; succeeds if it is not there. */
  remove(name: Uint8Array): void {
    checkEntryName(name);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (this.#unlink(name)) return;
      const fd = openIfDirectory(this.fd, name);
      if (fd === undefined) continue;
      const directory = new ConfinedDir(fd, this.#options);
      try {
        directory.#empty();
      } finally {
        directory.close();
      }
      if (this.#removeDirectory(name)) return;
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

  /** All names, in no particular order. */
  list(): readonly Buffer[] {
    const path = descriptorPath(this.fd);
    return run('list directory', () => readdirSync(path, { encoding: 'buffer' }));
  }

  close(): void {
    closeSync(this.fd);
  }

  #path(name: Uint8Array): Buffer {
    checkEntryName(name);
    return entryPath(this.fd, name);
  }

  /** @returns false if a directory is there. */
  #unlink(name: Uint8Array): boolean {
    let outcome = unlinkAt(this.fd, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) outcome = unlinkAt(this.fd, name);
    if (outcome >= 0 || outcome === -ERRNO.ENOENT) return true;
    if (outcome === -ERRNO.EISDIR) return false;
    throw systemFailure('remove', -outcome);
  }

  /** @returns false if something has appeared in it, or in its place. */
  #removeDirectory(name: Uint8Array): boolean {
    let outcome = removeDirectoryAt(this.fd, name);
    if (outcome === -ERRNO.EPERM && this.#undoProtection(name)) {
      outcome = removeDirectoryAt(this.fd, name);
    }
    if (outcome >= 0 || outcome === -ERRNO.ENOENT) return true;
    if (outcome === -ERRNO.ENOTEMPTY || outcome === -ERRNO.ENOTDIR) return false;
    throw systemFailure('remove directory', -outcome);
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

  /** Removes everything in here with few descriptors: what lies too deep is moved up meanwhile. */
  #empty(): void {
    const stack: Removal[] = [];
    const moved: Buffer[] = [];
    let names = [...this.list()];
    try {
      while (names.length > 0) {
        stack.push({ directory: this, names });
        while (stack.length > 0) this.#removalStep(stack, moved);
        names = moved.splice(0);
      }
    } finally {
      for (const { directory } of stack) if (directory !== this) directory.close();
    }
  }

  #removalStep(stack: Removal[], moved: Buffer[]): void {
    const { directory, names } = stack[stack.length - 1];
    const name = names.pop();
    if (name === undefined) {
      stack.pop();
      if (directory !== this) directory.close();
      const above = stack.at(-1);
      if (above !== undefined) above.directory.#removeEmptied(above.names.pop());
      return;
    }
    checkEntryName(name);
    if (directory.#unlink(name)) return;
    const fd = openIfDirectory(directory.fd, name);
    if (fd === undefined) return;
    const child = new ConfinedDir(fd, this.#options);
    if (stack.length < MAX_REMOVAL_DEPTH) {
      names.push(name);
      stack.push({ directory: child, names: [...child.list()] });
      return;
    }
    child.close();
    const nearer = Buffer.from(temporaryName(name));
    needed('remove', renameAt(directory.fd, name, nearer, this.fd));
    moved.push(nearer);
  }

  /** What others put there meanwhile is an error, not a reason to go on for ever. */
  #removeEmptied(name: Uint8Array | undefined): void {
    if (name === undefined) return;
    checkEntryName(name);
    if (!this.#removeDirectory(name)) throw systemFailure('remove directory', 'ENOTEMPTY');
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
