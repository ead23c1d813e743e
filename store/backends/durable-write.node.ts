/**
 * The only code in the project that makes a file visible: write a temporary, sync it, rename it, sync
 * the folder (spec/promises.md, 1 to 3). This file has the form for single files: archives, indexes,
 * replaced files. The form for many objects at once is in durable-group.node.ts.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { systemErrorCode, toStorageError } from '../system-error.node.ts';

const sync = promisify(fs.fsync);

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants;
const MAX_NAME_LENGTH = 255;
const RANDOM_LENGTH = 8;
/** Folders that may be written but not read, and file systems that do not sync folders. */
const UNSYNCABLE = new Set(['EACCES', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP']);

/** A file that is being written and not visible under its name yet. */
export interface DurableFile {
  /** Open for writing and reading. */
  readonly descriptor: number;
  /**
   * Makes the file visible under its name, replacing what is there; with `sync`, also durable.
   * @param options.path another name in the same folder, where that was not known in the beginning
   * @throws StorageError; then nothing has changed under the name, unless only the last step, the
   * sync of the folder, failed
   */
  commit(options: { readonly sync: boolean; readonly path?: string }): Promise<void>;
  /** Removes what was written. Does nothing after `commit`. */
  discard(): void;
}

/**
 * Begins a new version of the file at `path`, as `.#NAME` and 16 hex digits in the same folder.
 * @param options.mode permission bits, reduced by the umask
 * @throws StorageError
 */
export function openDurableFile(path: string, options: { readonly mode: number }): DurableFile {
  const folder = dirname(path);
  const temporary = join(folder, temporaryName(basename(path)));
  const descriptor = attempt(path, 'create', () => createExclusively(temporary, options.mode));
  let state: 'open' | 'closed' | 'done' = 'open';

  function close(): void {
    if (state !== 'open') return;
    state = 'closed';
    fs.closeSync(descriptor);
  }

  function discard(): void {
    if (state === 'done') return;
    try {
      close();
    } finally {
      state = 'done';
      removeQuietly(temporary);
    }
  }

  return {
    descriptor,
    discard,
    async commit({ sync: durable, path: finalPath = path }) {
      try {
        if (durable) await sync(descriptor);
        close();
        fs.renameSync(temporary, finalPath);
        state = 'done';
        if (durable) await syncFolder(folder);
      } catch (error) {
        discard();
        throw toStorageError(error, path, 'store');
      }
    },
  };
}

function temporaryName(name: string): string {
  let kept = name;
  while (Buffer.byteLength(kept) > MAX_NAME_LENGTH - 2 - 2 * RANDOM_LENGTH)
    kept = kept.slice(0, -1);
  return `.#${kept}${randomBytes(RANDOM_LENGTH).toString('hex')}`;
}

/** A new file, open for writing and reading. The umask is applied. */
export function createExclusively(path: string, mode: number): number {
  return fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    await syncPath(folder, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!UNSYNCABLE.has(systemErrorCode(error) ?? '')) throw error;
  }
}

/** Makes the content of a file or folder durable. */
export async function syncPath(path: string, flags: number = O_RDONLY | O_NOFOLLOW): Promise<void> {
  const handle = await fs.promises.open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes all of `bytes` at the position of `descriptor`. */
export function writeFully(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) {
    offset += fs.writeSync(descriptor, bytes, offset);
  }
}

/** Removes a file that may be gone already; for temporaries, whose remains hurt nobody. */
export function removeQuietly(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // What cannot be removed is a temporary that nobody reads.
  }
}

/** The result of a system call. @throws StorageError about `path` */
export function attempt<T>(path: string, step: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toStorageError(error, path, step);
  }
}
