/**
 * Objects as files of a folder on an SFTP server, by the rules of a folder on this machine: a symbolic
 * link at an object's name says "known to be missing" (spec/formats/castr.md, "Names"). Used by
 * sftp.node.ts.
 */

import { type CasError, isCasError, LimitExceeded } from '../../formats/errors.ts';
import type {
  GetObjectOptions,
  ObjectBackend,
  ObjectInfo,
  ObjectKey,
  PutObjectOptions,
  SignalOption,
} from '../backend.ts';
import { roomFor } from '../callers-memory.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import { assertObjectKey } from '../object-key.ts';
import { KnownAbsent } from './known-absent.ts';
import type { SftpCalls } from './sftp-calls.ts';
import { listSftpFolder } from './sftp-listing.ts';
import type { FileAttributes } from './sftp-packets.ts';
import type { SftpPlace } from './sftp-place.ts';
import { allDone, readPart, writeWhole } from './sftp-transfer.ts';

const OBJECT_MODE = 0o444;
/** To create a file in a folder that others remove whenever it is empty. */
const MOST_ATTEMPTS = 16;
/** To read an object that others replace meanwhile. */
const MOST_READS = 4;
const MOST_KNOWN_ABSENT = 4096;
const PARALLEL_SYNCS = 16;

/** @param place of which the objects become; it is closed with the backend */
export function openSftpObjects(place: SftpPlace): ObjectBackend {
  return new SftpObjects(place);
}

class SftpObjects implements ObjectBackend {
  readonly label: string;
  readonly can = { write: true, list: true, remove: true };
  readonly #place: SftpPlace;
  readonly #root: string;
  readonly #dirtyFolders = new Set<string>();
  /** What `has` has not found: who puts it now need not look again, for nothing is replaced. */
  readonly #absent = new KnownAbsent(MOST_KNOWN_ABSENT);

  constructor(place: SftpPlace) {
    this.#place = place;
    this.label = place.location.label;
    this.#root = place.location.path;
  }

  async get(key: ObjectKey, options: GetObjectOptions = {}): Promise<Uint8Array> {
    const path = this.#pathOf(key, options.signal);
    return this.#place.run(options.signal, async (calls) => {
      for (let left = MOST_READS; left > 0; left--) {
        const bytes = await readObject(calls, path, options);
        if (bytes !== undefined) return bytes;
      }
      const reason = 'changes while it is read';
      throw new StorageError('IO', { subject: calls.subject(path), step: 'read', reason });
    });
  }

  async has(keys: readonly ObjectKey[], { signal }: SignalOption = {}): Promise<boolean> {
    const paths = keys.map((key) => this.#pathOf(key, signal));
    const kinds = await this.#place.run(signal, (calls) =>
      Promise.all(paths.map(async (path) => (await find(calls, path))?.type)),
    );
    if (kinds.includes('file')) return true;
    this.#absent.note(paths.filter((_, i) => kinds[i] === undefined));
    return false;
  }

  async stat(key: ObjectKey, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    const path = this.#pathOf(key, signal);
    const found = await this.#place.run(signal, (calls) => find(calls, path));
    return found?.type === 'file' ? { size: found.size, modified: found.modified } : undefined;
  }

  async put(
    key: ObjectKey,
    bytes: Uint8Array,
    { signal, ifAbsent = false }: PutObjectOptions = {},
  ): Promise<'stored' | 'present'> {
    const path = this.#pathOf(key, signal);
    return this.#place.run(signal, async (calls) => {
      if (ifAbsent && !this.#absent.take(path) && (await calls.exists(path))) return 'present';
      const temporary = `${path}.${randomDigits()}.tmp`;
      const handle = await this.#create(calls, temporary);
      let isStored = false;
      try {
        await writeWhole(calls, temporary, handle, bytes);
        signal?.throwIfAborted();
        this.#dirtyFolders.add(folderOf(path));
        if (!ifAbsent) await calls.renameOver(temporary, path);
        isStored = !ifAbsent || (await calls.renameIfAbsent(temporary, path));
      } catch (error) {
        throw notMissing(error);
      } finally {
        if (!isStored) await calls.removeQuietly(temporary);
      }
      return isStored ? 'stored' : 'present';
    });
  }

  async flush({ signal }: SignalOption = {}): Promise<void> {
    signal?.throwIfAborted();
    while (this.#dirtyFolders.size > 0) {
      const folders = [...this.#dirtyFolders].slice(0, PARALLEL_SYNCS);
      await this.#place.run(signal, (calls) =>
        allDone(folders.map((folder) => calls.syncFolder(folder))),
      );
      for (const folder of folders) this.#dirtyFolders.delete(folder);
    }
  }

  async remove(key: ObjectKey, { signal }: SignalOption = {}): Promise<void> {
    const path = this.#pathOf(key, signal);
    await this.#place.run(signal, async (calls) => {
      try {
        await calls.remove(path);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      const folder = folderOf(path);
      if (folder !== this.#root) await calls.removeFolder(folder);
    });
  }

  async *list(prefix: string, { signal }: SignalOption = {}) {
    signal?.throwIfAborted();
    const calls = await this.#place.calls();
    yield* listSftpFolder(calls, this.#root, prefix, signal);
  }

  close(): Promise<void> {
    return this.#place.close();
  }

  #pathOf(key: ObjectKey, signal: AbortSignal | undefined): string {
    signal?.throwIfAborted();
    assertObjectKey(key);
    return `${this.#root}/${key}`;
  }

  /** A new file; its folder is made, if need be. */
  async #create(calls: SftpCalls, path: string): Promise<string> {
    for (let left = MOST_ATTEMPTS; ; left--) {
      try {
        return await calls.create(path, OBJECT_MODE);
      } catch (error) {
        if (!isMissing(error) || left === 0) throw notMissing(error);
      }
      await this.#makeFolder(calls, folderOf(path));
    }
  }

  /** Makes a folder below the root, the root itself, but nothing above it. */
  async #makeFolder(calls: SftpCalls, folder: string): Promise<void> {
    try {
      await calls.makeFolder(folder);
    } catch (error) {
      // There is no code for a folder that is there. Creating a file in it tells.
      if (isCasError(error) && error.code === 'IO') return;
      if (!isMissing(error) || folder === this.#root) throw notMissing(error);
      await this.#makeFolder(calls, folderOf(folder));
      return;
    }
    if (folder.includes('/')) this.#dirtyFolders.add(folderOf(folder));
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function isMissing(error: unknown): boolean {
  return isCasError(error) && error.code === 'OBJECT_MISSING';
}

/** Where something is stored, a missing name is a failure like any other. */
export function notMissing(error: unknown): unknown {
  if (!isCasError(error) || error.code !== 'OBJECT_MISSING') return error;
  const { subject = '', reason } = error;
  return new StorageError('IO', { subject, step: 'store', reason, cause: error });
}

async function find(calls: SftpCalls, path: string): Promise<FileAttributes | undefined> {
  try {
    return await calls.lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** @returns undefined if the object was replaced meanwhile by one of another size */
async function readObject(
  calls: SftpCalls,
  path: string,
  { signal, maxSize = Number.POSITIVE_INFINITY, range, into }: GetObjectOptions,
): Promise<Uint8Array | undefined> {
  const { attributes, handle } = await openObject(calls, path);
  try {
    const offset = range?.offset ?? 0;
    const whole = Math.max(0, attributes.size - offset);
    const size = Math.min(range?.length ?? whole, whole);
    if (size > maxSize) {
      const reason = `more than ${maxSize} bytes`;
      throw new LimitExceeded({ subject: calls.subject(path), step: 'read', reason });
    }
    const bytes = roomFor(size, into);
    const part = { path, handle, offset, bytes, isLast: size === whole };
    return (await readPart(calls, part, signal)) ? bytes : undefined;
  } finally {
    void calls.closeQuietly(handle);
  }
}

interface OpenObject {
  readonly attributes: FileAttributes;
  readonly handle: string;
}

/** Looks and opens in one go. A server that waits for a fifo could as well not answer at all. */
async function openObject(calls: SftpCalls, path: string): Promise<OpenObject> {
  const [looked, opened] = await Promise.allSettled([
    calls.lstat(path),
    calls.openForReading(path),
  ]);
  const refusal = refusalOf(calls.subject(path), looked);
  if (looked.status === 'fulfilled' && opened.status === 'fulfilled' && refusal === undefined) {
    return { attributes: looked.value, handle: opened.value };
  }
  if (opened.status === 'fulfilled') void calls.closeQuietly(opened.value);
  throw refusal ?? (opened.status === 'rejected' ? opened.reason : undefined);
}

function refusalOf(
  subject: string,
  looked: PromiseSettledResult<FileAttributes>,
): CasError | undefined {
  if (looked.status === 'rejected') return looked.reason;
  const { type } = looked.value;
  if (type === 'file') return undefined;
  if (type === 'link') {
    return new ObjectMissing({ subject, reason: 'known to be missing (symbolic link)' });
  }
  return new StorageError('IO', { subject, step: 'read', reason: 'Not a regular file' });
}

/** Of a temporary file's name: 16 hexadecimal digits. */
export function randomDigits(): string {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high.toString(16) + low.toString(16).padStart(8, '0')).padStart(16, '0');
}
