/**
 * Objects as files of a folder on this machine. Used for castr stores and everything else that has
 * the shape of an ObjectBackend. A symbolic link at an object's name says "known to be missing" and
 * is never followed (spec/formats/castr.md, "Names").
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { LimitExceeded } from '../../formats/errors.ts';
import type { ListedObject, ObjectBackend, ObjectInfo, ObjectKey } from '../backend.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import { assertObjectKey, isObjectKey } from '../object-key.ts';
import { systemErrorCode, systemErrorText } from '../system-error.node.ts';
import { DurableGroup, type SyncFileSystem, TEMPORARY_NAME } from './durable-group.node.ts';
import { attempt } from './durable-write.node.ts';

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
  /** Creates the last component of the folder with the first object; true if left out. */
  readonly createIfMissing?: boolean;
}

/**
 * Opens a folder as backend; it need not exist. What has been put can be read at once through this
 * backend, and is visible to others at the latest when flushed. After the loss of an object that was
 * accepted, each `put` and `flush` fails: open a new backend then.
 */
export function openLocalBackend(folder: string, options: LocalBackendOptions = {}): ObjectBackend {
  const { sync = 'group', syncFileSystem, createIfMissing = true } = options;
  const group = new DurableGroup(folder, {
    sync,
    createFolder: createIfMissing,
    ...(syncFileSystem ? { syncFileSystem } : {}),
  });

  function pathOf(key: ObjectKey, signal: AbortSignal | undefined): string {
    signal?.throwIfAborted();
    assertObjectKey(key);
    return join(folder, key);
  }

  return {
    label: folder,
    can: { write: true, list: true, remove: true },

    async get(key, { signal, maxSize = Number.POSITIVE_INFINITY } = {}) {
      const path = pathOf(key, signal);
      return readObject(path, group.pendingPath(path) ?? path, maxSize);
    },

    async stat(key, { signal } = {}) {
      const path = pathOf(key, signal);
      const stats = statObject(group.pendingPath(path) ?? path);
      return stats?.isFile() ? describe(stats) : undefined;
    },

    async put(key, bytes, { signal, ifAbsent = false } = {}) {
      const path = pathOf(key, signal);
      if (ifAbsent && (group.pendingPath(path) !== undefined || statObject(path))) return 'present';
      await group.write(path, bytes, ifAbsent);
      return 'stored';
    },

    async flush({ signal } = {}) {
      signal?.throwIfAborted();
      await group.flush();
    },

    async remove(key, { signal } = {}) {
      const path = pathOf(key, signal);
      group.cancel(path);
      removeObject(path);
      const parent = dirname(path);
      if (parent !== folder && removeFolder(parent)) group.forgetFolder(parent);
    },

    async *list(prefix, { signal } = {}) {
      const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      if (start !== '' && !isObjectKey(start.slice(0, -1))) return;
      yield* listFolder(folder, start, prefix, signal);
    },

    close: () => group.close(),
  };
}

function describe(stats: fs.Stats): ObjectInfo {
  return { size: stats.size, modified: stats.mtime };
}

/** The link itself where there is one. @throws StorageError */
function statObject(path: string): fs.Stats | undefined {
  return attempt(path, 'look up', () => fs.lstatSync(path, { throwIfNoEntry: false }));
}

function readObject(path: string, actualPath: string, maxSize: number): Uint8Array {
  const descriptor = openObject(path, actualPath);
  try {
    const stats = attempt(path, 'read', () => fs.fstatSync(descriptor));
    if (!stats.isFile()) {
      throw new StorageError('IO', { subject: path, step: 'read', reason: 'Not a regular file' });
    }
    if (stats.size > maxSize) {
      const reason = `more than ${maxSize} bytes`;
      throw new LimitExceeded({ subject: path, step: 'read', reason });
    }
    const bytes = new Uint8Array(stats.size);
    attempt(path, 'read', () => readFully(descriptor, bytes, path));
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

function readFully(descriptor: number, bytes: Uint8Array, path: string): void {
  for (let offset = 0; offset < bytes.length; ) {
    const length = fs.readSync(descriptor, bytes, offset, bytes.length - offset, offset);
    if (length === 0) {
      const reason = `file ends after ${offset} of ${bytes.length} bytes`;
      throw new StorageError('IO', { subject: path, step: 'read', reason });
    }
    offset += length;
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
