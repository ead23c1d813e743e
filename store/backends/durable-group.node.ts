/**
 * Durable writing of many small objects: each is written at once under a temporary name; then a whole
 * group is synced with one call and renamed (spec/promises.md, 1; names as in spec/formats/castr.md).
 * Used by the local backend. While a group is being synced the next one is being written.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { about } from '../../formats/errors.ts';
import { systemErrorCode, toStorageError } from '../system-error.node.ts';
import {
  attempt,
  createExclusively,
  removeQuietly,
  syncFolder,
  syncPath,
  writeFully,
} from './durable-write.node.ts';
import { type FileCalls, NODE_FILE_CALLS } from './file-calls.node.ts';

const OBJECT_MODE = 0o444;
const MAX_GROUP_COUNT = 1000;
const MAX_GROUP_BYTES = 64 * 1024 * 1024;
const MAX_KNOWN_FOLDERS = 65536;
/** To create a file in a folder that others remove whenever it is empty. */
const MOST_ATTEMPTS = 16;
/** As many as libuv has threads; more would only wait. */
const PARALLEL_SYNCS = 4;
/** Of the random part of a temporary's name; the rest is a counter. */
const RANDOM_LENGTH = 6;

/**
 * Writes a whole file system to disk, off the main thread; undefined where the system cannot.
 * @param descriptor any open file or folder of the file system
 */
export type SyncFileSystem = (descriptor: number) => Promise<void> | undefined;

export interface DurableGroupOptions {
  /** `none` makes objects visible at once and never durable: for scratch stores. */
  readonly sync: 'group' | 'none';
  /** Whether the folder of all objects (only its last component) may be created. */
  readonly createFolder: boolean;
  /** Without it, files are synced one by one. */
  readonly syncFileSystem?: SyncFileSystem;
  /** Without it, those of node:fs. */
  readonly calls?: FileCalls;
}

interface Pending {
  readonly path: string;
  readonly temporary: string;
  readonly size: number;
  readonly ifAbsent: boolean;
  cancelled: boolean;
}

type Group = Map<string, Pending>;

export class DurableGroup {
  readonly #folder: string;
  readonly #options: DurableGroupOptions;
  readonly #calls: FileCalls;
  #temporaryNumber = randomBytes(RANDOM_LENGTH).readUIntBE(0, RANDOM_LENGTH);
  /** Held open from the first write on, so that no failed write-back escapes a later sync. */
  #descriptor: number | undefined;
  #pending: Group = new Map();
  #pendingBytes = 0;
  #committing: Group = new Map();
  #commit: Promise<void> | undefined;
  #flushes: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  readonly #knownFolders = new Set<string>();
  readonly #dirtyFolders = new Set<string>();

  /** @param folder all objects lie below it */
  constructor(folder: string, options: DurableGroupOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#calls = options.calls ?? NODE_FILE_CALLS;
  }

  /**
   * Accepts an object. With `ifAbsent`, what has appeared at `path` in the meantime stays.
   * @throws StorageError if it cannot be written (it is not accepted then), and after any accepted
   * object was lost: from then on nothing is accepted
   */
  async write(path: string, bytes: Uint8Array, ifAbsent: boolean): Promise<void> {
    this.#throwFailure();
    const temporary = this.#writeTemporary(path, bytes);
    const entry = { path, temporary, ifAbsent, size: bytes.length, cancelled: false };
    if (this.#options.sync === 'none') {
      attempt(path, 'store', () => this.#publish(entry));
      return;
    }
    this.#drop(this.#pending.get(path));
    this.#pending.set(path, entry);
    this.#pendingBytes += entry.size;
    while (this.#isFull() && this.#commit !== undefined) await this.#commit;
    if (this.#isFull()) this.#beginCommit();
  }

  /** Where an accepted object that is not visible yet can be read. */
  pendingPath(path: string): string | undefined {
    return (this.#pending.get(path) ?? this.#committing.get(path))?.temporary;
  }

  /** Gives up an accepted object that is not visible yet. */
  cancel(path: string): void {
    this.#drop(this.#pending.get(path));
    const committing = this.#committing.get(path);
    if (committing !== undefined) committing.cancelled = true;
  }

  /** Tells that a folder may be gone. */
  forgetFolder(folder: string): void {
    this.#knownFolders.delete(folder);
  }

  /** Resolves when everything accepted before is durable and visible. @throws StorageError */
  flush(): Promise<void> {
    const flushed = this.#flushes.then(() => this.#flushNow());
    this.#flushes = flushed.catch(() => {});
    return flushed;
  }

  /** Removes what is not visible yet and frees the descriptor. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#commit;
    await this.#flushes;
    for (const entry of this.#pending.values()) this.#drop(entry);
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #isFull(): boolean {
    return this.#pending.size >= MAX_GROUP_COUNT || this.#pendingBytes >= MAX_GROUP_BYTES;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #drop(entry: Pending | undefined): void {
    if (entry === undefined) return;
    removeQuietly(entry.temporary);
    this.#pending.delete(entry.path);
    this.#pendingBytes -= entry.size;
  }

  #beginCommit(): void {
    const group = this.#pending;
    this.#committing = group;
    this.#pending = new Map();
    this.#pendingBytes = 0;
    this.#commit = this.#commitGroup(group)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#commit = undefined;
        this.#committing = new Map();
      });
  }

  async #commitGroup(group: Group): Promise<void> {
    const left = [...group.values()];
    try {
      await this.#syncFiles(left);
      while (left.length > 0 && !this.#closed) {
        const entry = left[left.length - 1];
        if (entry.cancelled) removeQuietly(entry.temporary);
        else attempt(entry.path, 'store', () => this.#publish(entry));
        left.pop();
      }
    } finally {
      for (const { path, temporary } of left) this.#discard(path, temporary);
    }
  }

  async #syncFiles(group: readonly Pending[]): Promise<void> {
    if (await this.#syncAll()) return;
    await inParallel(group, async ({ path, temporary, cancelled }) => {
      if (cancelled) return;
      await syncPath(temporary).catch((error: unknown) => {
        throw toStorageError(error, path, 'sync');
      });
    });
  }

  /** @returns whether the system could sync everything with one call */
  async #syncAll(): Promise<boolean> {
    if (this.#descriptor === undefined) return false;
    const synced = this.#options.syncFileSystem?.(this.#descriptor);
    if (synced === undefined) return false;
    await synced.catch((error: unknown) => {
      throw about(this.#folder, toStorageError(error, this.#folder, 'sync'));
    });
    return true;
  }

  #publish({ path, temporary, ifAbsent }: Pending): void {
    if (!ifAbsent) fs.renameSync(temporary, path);
    else if (!this.#calls.renameNew(temporary, path)) removeQuietly(temporary);
    if (this.#options.sync !== 'none') this.#dirtyFolders.add(folderOf(path));
  }

  async #flushNow(): Promise<void> {
    while (this.#commit !== undefined) await this.#commit;
    if (this.#pending.size > 0 && !this.#closed) this.#beginCommit();
    await this.#commit;
    this.#throwFailure();
    if (this.#options.sync === 'none' || this.#dirtyFolders.size === 0) return;
    const folders = [...this.#dirtyFolders];
    this.#dirtyFolders.clear();
    try {
      if (!(await this.#syncAll())) await inParallel(folders, syncFolder);
    } catch (error) {
      this.#failure = { error: toStorageError(error, this.#folder, 'sync') };
      throw this.#failure.error;
    }
  }

  #writeTemporary(path: string, bytes: Uint8Array): string {
    const folder = folderOf(path);
    const temporary = this.#temporaryName(path, folder);
    try {
      const descriptor = this.#createTemporary(temporary, folder);
      try {
        writeFully(descriptor, bytes);
      } finally {
        fs.closeSync(descriptor);
      }
      return temporary;
    } catch (error) {
      this.#discard(path, temporary);
      throw toStorageError(error, path, 'write');
    }
  }

  #temporaryName(path: string, folder: string): string {
    const stem = path.slice(folder.length + 1).split('.', 1)[0];
    this.#temporaryNumber += 1;
    return `${folder}/${stem}.${this.#temporaryNumber.toString(16)}.tmp`;
  }

  #createTemporary(temporary: string, folder: string): number {
    for (let attempts = 1; ; attempts++) {
      this.#ensureFolder(folder);
      this.#descriptor ??= fs.openSync(this.#folder, fs.constants.O_RDONLY);
      try {
        return createExclusively(temporary, OBJECT_MODE);
      } catch (error) {
        if (systemErrorCode(error) !== 'ENOENT' || attempts === MOST_ATTEMPTS) throw error;
        // Somebody removed the folder because it was empty.
        this.#knownFolders.delete(folder);
      }
    }
  }

  /** Removes a temporary, and its folder if nothing else is in it. */
  #discard(path: string, temporary: string): void {
    removeQuietly(temporary);
    const folder = folderOf(path);
    if (folder === this.#folder) return;
    try {
      fs.rmdirSync(folder);
      this.#knownFolders.delete(folder);
    } catch {
      // Others have objects in it.
    }
  }

  #ensureFolder(folder: string): void {
    if (this.#knownFolders.has(folder)) return;
    if (folder !== this.#folder) this.#ensureFolder(dirname(folder));
    if (folder !== this.#folder || this.#options.createFolder) {
      if (this.#calls.createFolder(folder)) this.#dirtyFolders.add(dirname(folder));
    }
    if (this.#knownFolders.size >= MAX_KNOWN_FOLDERS) this.#knownFolders.clear();
    this.#knownFolders.add(folder);
  }
}

/** Of a path that has a folder. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** Does `work` for all items, a few at a time. The first failure is thrown when all have ended. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items.values();
  const workers = Array.from({ length: PARALLEL_SYNCS }, async () => {
    for (const item of iterator) await work(item);
  });
  const results = await Promise.allSettled(workers);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
