/**
 * A directory held open by descriptor: the one place where extraction touches trees. Every operation
 * takes one checked name and reaches it through /proc/self/fd, so that neither names, planted links
 * nor directories that are swapped meanwhile lead outside (spec/promises.md, 5; spec/threats.md).
 */
import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import type { NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { PipelineError } from '../errors.ts';
import { type FileStat, statDescriptor } from '../os/file-stat.node.ts';
import { createSubvolume } from '../os/inode-flags.node.ts';
import { makeFifo, makeNode, makeSocket } from '../os/nodes.node.ts';
import { exchange } from '../os/rename.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { descriptorPath } from '../os/target.node.ts';
import {
  attempt,
  clearProtection,
  ifPresent,
  O_PATH,
  openIfDirectory,
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

/** How a directory that is not there yet is made. */
export interface DirectoryCreation {
  /** Permission bits; the umask applies. */
  readonly permissions: number;
  readonly asSubvolume?: boolean;
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
  readonly #prefix: Buffer;
  readonly #options: ConfinementOptions;

  private constructor(fd: number, options: ConfinementOptions) {
    this.fd = fd;
    this.#prefix = Buffer.from(`/proc/self/fd/${fd}/`);
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
    const path = this.#path(name);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const created = this.#makeDirectory(name, path, creation);
      const fd = openIfDirectory(path);
      if (fd !== undefined) {
        if (created && creation.asSubvolume === true) fchmodSync(fd, creation.permissions);
        if (!created && this.#options.undoImmutable === true) clearProtection(fd, true);
        return { directory: new ConfinedDir(fd, this.#options), created };
      }
      this.#unlink(path, name);
    }
    const reason = 'somebody keeps replacing this directory';
    throw new PipelineError('UNSAFE_TARGET', { step: 'open directory', reason });
  }

  /** A new empty file, open for writing. @param permissions the umask applies. */
  createFile(name: Uint8Array, permissions: number): number {
    const path = this.#path(name);
    try {
      return openSync(path, CREATE_FILE, permissions);
    } catch (error) {
      if (errnoOf(error) === 'EPERM') clearProtection(this.fd, false);
      throw systemFailure('create file', error);
    }
  }

  createSymlink(name: Uint8Array, target: Uint8Array): void {
    const path = this.#path(name);
    run('create symbolic link', () => symlinkSync(Buffer.from(target), path));
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
    const path = this.#path(name);
    return run('open', () => openSync(path, O_PATH | O_NOFOLLOW));
  }

  /** Gives the complete `temporary` the place of `name`, whatever was there. */
  replace(temporary: Uint8Array, name: Uint8Array): void {
    const from = this.#path(temporary);
    const to = this.#path(name);
    const rename = () => attempt(() => renameSync(from, to));
    let failure = rename();
    if (failure === 'EPERM' && this.#undoProtection(name)) failure = rename();
    if (failure === undefined) return;
    if (failure !== 'EISDIR') throw systemFailure('rename into place', failure);
    this.#replaceDirectory(temporary, name);
  }

  /** Removes an entry with everything in it; succeeds if it is not there. */
  remove(name: Uint8Array): void {
    const path = this.#path(name);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (this.#unlink(path, name)) return;
      const fd = openIfDirectory(path);
      if (fd === undefined) continue;
      const directory = new ConfinedDir(fd, this.#options);
      try {
        directory.#empty();
      } finally {
        directory.close();
      }
      if (this.#removeDirectory(path, name)) return;
    }
    throw systemFailure('remove', 'ENOTEMPTY');
  }

  /** Attributes of an entry, links not followed; undefined if it is not there. */
  lstat(name: Uint8Array): FileStat | undefined {
    const path = this.#path(name);
    const fd = ifPresent(() => openSync(path, O_PATH | O_NOFOLLOW));
    if (fd === undefined) return undefined;
    try {
      return statDescriptor(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** All names, in no particular order. */
  list(): readonly Buffer[] {
    return run('list directory', () => readdirSync(this.#prefix, { encoding: 'buffer' }));
  }

  close(): void {
    closeSync(this.fd);
  }

  #path(name: Uint8Array): Buffer {
    checkEntryName(name);
    return Buffer.concat([this.#prefix, name]);
  }

  /** @returns whether it was made. */
  #makeDirectory(name: Uint8Array, path: Buffer, creation: DirectoryCreation): boolean {
    if (creation.asSubvolume === true) {
      try {
        createSubvolume(this.fd, name);
        return true;
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return false;
        throw error;
      }
    }
    const failure = attempt(() => mkdirSync(path, creation.permissions));
    if (failure === undefined) return true;
    if (failure === 'EEXIST') return false;
    throw systemFailure('create directory', failure);
  }

  /** @returns false if a directory is there. */
  #unlink(path: Buffer, name: Uint8Array): boolean {
    let failure = attempt(() => unlinkSync(path));
    if (failure === 'EPERM' && this.#undoProtection(name))
      failure = attempt(() => unlinkSync(path));
    if (failure === undefined || failure === 'ENOENT') return true;
    if (failure === 'EISDIR') return false;
    throw systemFailure('remove', failure);
  }

  /** @returns false if something has appeared in it, or in its place. */
  #removeDirectory(path: Buffer, name: Uint8Array): boolean {
    let failure = attempt(() => rmdirSync(path));
    if (failure === 'EPERM' && this.#undoProtection(name)) failure = attempt(() => rmdirSync(path));
    if (failure === undefined || failure === 'ENOENT') return true;
    if (failure === 'ENOTEMPTY' || failure === 'ENOTDIR') return false;
    throw systemFailure('remove directory', failure);
  }

  /** A rename cannot replace a directory: they swap names, and the directory is removed then. */
  #replaceDirectory(temporary: Uint8Array, name: Uint8Array): void {
    if (exchange(this.#path(temporary), this.#path(name))) {
      this.remove(temporary);
      return;
    }
    const aside = temporaryName(name);
    run('rename aside', () => renameSync(this.#path(name), this.#path(aside)));
    run('rename into place', () => renameSync(this.#path(temporary), this.#path(name)));
    this.remove(aside);
  }

  /**
   * Removes everything in this directory, at any depth, with a bounded number of open descriptors:
   * what lies too deep is moved up here and removed later.
   */
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
    const path = directory.#path(name);
    if (directory.#unlink(path, name)) return;
    const fd = openIfDirectory(path);
    if (fd === undefined) return;
    const child = new ConfinedDir(fd, this.#options);
    if (stack.length < MAX_REMOVAL_DEPTH) {
      names.push(name);
      stack.push({ directory: child, names: [...child.list()] });
      return;
    }
    child.close();
    const nearer = Buffer.from(temporaryName(name));
    run('remove', () => renameSync(path, this.#path(nearer)));
    moved.push(nearer);
  }

  /** What others put there meanwhile is an error, not a reason to go on for ever. */
  #removeEmptied(name: Uint8Array | undefined): void {
    if (name === undefined) return;
    const path = this.#path(name);
    if (!this.#removeDirectory(path, name)) throw systemFailure('remove directory', 'ENOTEMPTY');
  }

  /**
   * Clears the flags that forbid to replace or remove `name`, if that is wanted.
   * @returns whether it did something
   * @throws PipelineError `DENIED` if there are such flags and they must stay
   */
  #undoProtection(name: Uint8Array): boolean {
    const undo = this.#options.undoImmutable === true;
    const here = clearProtection(this.fd, undo);
    const holder = ifPresent(() => openSync(this.#path(name), O_PATH | O_NOFOLLOW));
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
