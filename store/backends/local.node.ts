/**
 * Objects as files of a folder on this machine. Used for castr stores and everything else that has
 * the shape of an ObjectBackend. A symbolic link at an object's name says "known to be missing" and
 * is never followed (spec/formats/castr.md, "Names").
 */

import * as fs from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { LimitExceeded } from '../../formats/errors.ts';
import type {
  GetObjectOptions,
  ListedObject,
  ObjectBackend,
  ObjectInfo,
  ObjectKey,
  ObjectRange,
  PutObjectOptions,
  SignalOption,
} from '../backend.ts';
import { roomFor } from '../callers-memory.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import { assertObjectKey, isObjectKey, TEMPORARY_NAME } from '../object-key.ts';
import { systemErrorCode, systemErrorText } from '../system-error.node.ts';
import { DurableGroup, type SyncFileSystem } from './durable-group.node.ts';
import { attempt } from './durable-write.node.ts';
import { type FileCalls, type FileKind, NODE_FILE_CALLS } from './file-calls.node.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
/** Folders within folders that listing enters; a castr store has one. */
const MAX_DEPTH = 16;

export interface LocalBackendOptions {
  /**
   * `group` (the default): objects are durable when flushed. `none`: visible at once and never
   * synced, for scratch stores.
   */
  readonly sync?: 'group' | 'none';
  /** Syncs a whole file system; without it, or where it returns undefined, files one by one. */
  readonly syncFileSystem?: SyncFileSystem;
  /** Cheaper system calls than those of node:fs, where the caller has them. */
  readonly calls?: FileCalls;
  /** Creates the last component of the folder with the first object; true if left out. */
  readonly createIfMissing?: boolean;
}

/**
 * Opens a folder as backend; it need not exist. What has been put can be read at once through this
 * backend, and is visible to others at the latest when flushed. After the loss of an object that was
 * accepted, each `put` and `flush` fails: open a new backend then.
 */
export function openLocalBackend(folder: string, options: LocalBackendOptions = {}): ObjectBackend {
  return new LocalBackend(folder, options);
}

class LocalBackend implements ObjectBackend {
  readonly label: string;
  readonly can = { write: true, list: true, remove: true };
  readonly #root: string;
  readonly #calls: FileCalls;
  readonly #group: DurableGroup;
  /** What `has` found absent last: who puts it now need not look again, for nothing is replaced. */
  #lastAbsent: readonly string[] = [];

  constructor(folder: string, options: LocalBackendOptions) {
    const { sync = 'group', syncFileSystem, calls = NODE_FILE_CALLS } = options;
    const { createIfMissing = true } = options;
    this.label = folder;
    this.#root = plainPath(folder);
    this.#calls = calls;
    this.#group = new DurableGroup(this.#root, {
      sync,
      createFolder: createIfMissing,
      calls,
      ...(syncFileSystem ? { syncFileSystem } : {}),
    });
  }

  async get(key: ObjectKey, options: GetObjectOptions = {}): Promise<Uint8Array> {
    const { signal, maxSize = Number.POSITIVE_INFINITY, range, into } = options;
    const path = this.#pathOf(key, signal);
    const actualPath = this.#group.pendingPath(path) ?? path;
    return readObject({ path, actualPath, calls: this.#calls, maxSize, range, into });
  }

  has(keys: readonly ObjectKey[], { signal }: SignalOption = {}): boolean {
    const absent: string[] = [];
    for (const key of keys) {
      const path = this.#pathOf(key, signal);
      const kind = this.#group.pendingPath(path) === undefined ? this.#kindAt(path) : 'file';
      if (kind === 'file') return true;
      if (kind === undefined) absent.push(path);
    }
    this.#lastAbsent = absent;
    return false;
  }

  async stat(key: ObjectKey, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    const path = this.#pathOf(key, signal);
    const stats = statObject(this.#group.pendingPath(path) ?? path);
    return stats?.isFile() ? describe(stats) : undefined;
  }

  async put(
    key: ObjectKey,
    bytes: Uint8Array,
    { signal, ifAbsent = false }: PutObjectOptions = {},
  ): Promise<'stored' | 'present'> {
    const path = this.#pathOf(key, signal);
    if (ifAbsent && this.#isThere(path)) return 'present';
    this.#lastAbsent = [];
    await this.#group.write(path, bytes, ifAbsent);
    return 'stored';
  }

  async flush({ signal }: SignalOption = {}): Promise<void> {
    signal?.throwIfAborted();
    await this.#group.flush();
  }

  async remove(key: ObjectKey, { signal }: SignalOption = {}): Promise<void> {
    const path = this.#pathOf(key, signal);
    this.#group.cancel(path);
    removeObject(path);
    const parent = dirname(path);
    if (parent !== this.#root && removeFolder(parent)) this.#group.forgetFolder(parent);
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (start !== '' && !isObjectKey(start.slice(0, -1))) return;
    yield* listFolder(this.#root, start, prefix, signal);
  }

  close(): Promise<void> {
    return this.#group.close();
  }

  #pathOf(key: ObjectKey, signal: AbortSignal | undefined): string {
    signal?.throwIfAborted();
    assertObjectKey(key);
    return `${this.#root}/${key}`;
  }

  #kindAt(path: string): FileKind | undefined {
    return attempt(path, 'look up', () => this.#calls.kindAt(path));
  }

  #isThere(path: string): boolean {
    if (this.#group.pendingPath(path) !== undefined) return true;
    return !this.#lastAbsent.includes(path) && this.#kindAt(path) !== undefined;
  }
}

/** In a form to which names can be appended, also where it is the root or the current folder. */
function plainPath(folder: string): string {
  const path = normalize(folder);
  if (path === '/') return '/.';
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

function describe(stats: fs.Stats): ObjectInfo {
  return { size: stats.size, modified: stats.mtime };
}

/** The link itself where there is one. @throws StorageError */
function statObject(path: string): fs.Stats | undefined {
  return attempt(path, 'look up', () => fs.lstatSync(path, { throwIfNoEntry: false }));
}

interface Reading {
  /** For messages. */
  readonly path: string;
  readonly actualPath: string;
  readonly calls: FileCalls;
  readonly maxSize: number;
  readonly range: ObjectRange | undefined;
  readonly into: Uint8Array | undefined;
}

function readObject({ path, actualPath, calls, maxSize, range, into }: Reading): Uint8Array {
  const descriptor = openObject(path, actualPath);
  try {
    const fileSize = attempt(path, 'read', () => calls.fileSize(descriptor));
    if (fileSize === undefined) {
      throw new StorageError('IO', { subject: path, step: 'read', reason: 'Not a regular file' });
    }
    const offset = range?.offset ?? 0;
    const size = Math.max(0, Math.min(range?.length ?? fileSize, fileSize - offset));
    if (size > maxSize) {
      const reason = `more than ${maxSize} bytes`;
      throw new LimitExceeded({ subject: path, step: 'read', reason });
    }
    const bytes = roomFor(size, into);
    attempt(path, 'read', () => readFully(descriptor, bytes, offset, path));
    return bytes;
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Never waits for the other end of a fifo that somebody put there. */
function openObject(path: string, actualPath: string): number {
  return attempt(path, 'open', () => {
    try {
      return fs.openSync(actualPath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (cause) {
      const code = systemErrorCode(cause);
      if (code === 'ENOENT') {
        throw new ObjectMissing({ subject: path, reason: systemErrorText(cause), cause });
      }
      if (code === 'ELOOP' && statObject(actualPath)?.isSymbolicLink()) {
        const reason = 'known to be missing (symbolic link)';
        throw new ObjectMissing({ subject: path, reason, cause });
      }
      throw cause;
    }
  });
}

function readFully(descriptor: number, bytes: Uint8Array, start: number, path: string): void {
  for (let done = 0; done < bytes.length; ) {
    const length = fs.readSync(descriptor, bytes, done, bytes.length - done, start + done);
    if (length === 0) {
      const reason = `file ends after ${done} of ${bytes.length} bytes`;
      throw new StorageError('IO', { subject: path, step: 'read', reason });
    }
    done += length;
  }
}

function removeObject(path: string): void {
  attempt(path, 'remove', () => {
    try {
      fs.unlinkSync(path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  });
}

/** @returns whether the folder was empty and is gone */
function removeFolder(folder: string): boolean {
  try {
    fs.rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

async function* listFolder(
  folder: string,
  keyPrefix: string,
  wanted: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  signal?.throwIfAborted();
  if (keyPrefix.split('/').length > MAX_DEPTH) return;
  for (const entry of readFolder(join(folder, keyPrefix))) {
    const key = keyPrefix + entry.name;
    const name = entry.isDirectory() ? `${key}/` : key;
    if (!isObjectKey(key) || !(name.startsWith(wanted) || wanted.startsWith(name))) continue;
    if (entry.isDirectory()) yield* listFolder(folder, name, wanted, signal);
    else if (entry.isFile() && !TEMPORARY_NAME.test(entry.name) && name.startsWith(wanted)) {
      const stats = statObject(join(folder, key));
      if (stats?.isFile()) yield { key, ...describe(stats) };
    }
  }
}

/** A folder that is not there, or no more, has no entries. */
function readFolder(path: string): readonly fs.Dirent[] {
  return attempt(path, 'list', () => {
    try {
      return fs.readdirSync(path, { withFileTypes: true });
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return [];
      throw error;
    }
  });
}
