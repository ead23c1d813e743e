/**
 * Objects as files of a folder on an FTP server. The protocol has neither links nor durability: what
 * is accepted is where the server has put it. Used by ftp.node.ts.
 */

import { randomBytes } from 'node:crypto';
import type { Client, FileInfo } from 'basic-ftp';
import { LimitExceeded } from '../../formats/errors.ts';
import type {
  GetObjectOptions,
  ListedObject,
  ObjectBackend,
  ObjectInfo,
  ObjectKey,
  PutObjectOptions,
  SignalOption,
} from '../backend.ts';
import { roomFor } from '../callers-memory.ts';
import { ObjectMissing } from '../errors.ts';
import { assertObjectKey, isObjectKey, TEMPORARY_NAME } from '../object-key.ts';
import { replyCode, saysDenied } from './ftp-failure.node.ts';
import type { FtpPool } from './ftp-pool.node.ts';
import {
  downloadPart,
  removeQuietly,
  renameOver,
  sizeOf,
  timeOf,
  uploadWhole,
} from './ftp-transfer.node.ts';
import { KnownAbsent } from './known-absent.ts';

/** Folders within folders that are entered; a castr store has one. */
const MAX_DEPTH = 16;
const MOST_KNOWN = 65536;

/** @param pool of which the connections become; it is closed with the backend */
export function openFtpObjects(pool: FtpPool): ObjectBackend {
  return new FtpObjects(pool);
}

class FtpObjects implements ObjectBackend {
  readonly label: string;
  readonly can = { write: true, list: true, remove: true };
  readonly #pool: FtpPool;
  readonly #root: string;
  /** What `has` has not found: who puts it now need not look again. */
  readonly #absent = new KnownAbsent(MOST_KNOWN);
  readonly #knownFolders = new Set<string>();

  constructor(pool: FtpPool) {
    this.#pool = pool;
    this.label = pool.location.label.replace(/\/+$/, '');
    this.#root = pool.location.path;
  }

  async get(key: ObjectKey, options: GetObjectOptions = {}): Promise<Uint8Array> {
    const { signal, maxSize = Number.POSITIVE_INFINITY, range, into } = options;
    const path = this.#pathOf(key, signal);
    const subject = this.#subject(key);
    return this.#pool.run({ subject, step: 'read', signal }, async (client) => {
      const whole = await sizeOf(client, path);
      if (whole === undefined) throw new ObjectMissing({ subject, reason: 'No such file' });
      const offset = Math.min(range?.offset ?? 0, whole);
      const length = Math.min(range?.length ?? whole, whole - offset);
      if (length > maxSize) {
        const reason = `more than ${maxSize} bytes`;
        throw new LimitExceeded({ subject, step: 'read', reason });
      }
      const bytes = roomFor(length, into);
      const behind = whole - offset - length;
      await downloadPart(client, { path, subject, offset, bytes, behind });
      return bytes;
    });
  }

  async has(keys: readonly ObjectKey[], { signal }: SignalOption = {}): Promise<boolean> {
    const paths = keys.map((key) => this.#pathOf(key, signal));
    if (paths.length === 0) return false;
    const subject = this.#subject(keys[0]);
    return this.#pool.run({ subject, step: 'look up', signal }, async (client) => {
      for (const path of paths) if ((await sizeOf(client, path)) !== undefined) return true;
      this.#absent.note(paths);
      return false;
    });
  }

  async stat(key: ObjectKey, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    const path = this.#pathOf(key, signal);
    const step = { subject: this.#subject(key), step: 'look up', signal };
    return this.#pool.run(step, async (client) => {
      const size = await sizeOf(client, path);
      return size === undefined
        ? undefined
        : { size, modified: (await timeOf(client, path)) ?? new Date(0) };
    });
  }

  async put(
    key: ObjectKey,
    bytes: Uint8Array,
    { signal, ifAbsent = false }: PutObjectOptions = {},
  ): Promise<'stored' | 'present'> {
    const path = this.#pathOf(key, signal);
    const subject = this.#subject(key);
    return this.#pool.run({ subject, step: 'store', signal }, async (client) => {
      if (ifAbsent && !this.#absent.take(path) && (await sizeOf(client, path)) !== undefined) {
        return 'present';
      }
      const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
      try {
        await this.#upload(client, temporary, bytes, subject);
        await renameOver(client, temporary, path);
      } catch (error) {
        if (!client.closed) await removeQuietly(client, temporary);
        throw error;
      }
      return 'stored';
    });
  }

  async flush({ signal }: SignalOption = {}): Promise<void> {
    signal?.throwIfAborted();
  }

  async remove(key: ObjectKey, { signal }: SignalOption = {}): Promise<void> {
    const path = this.#pathOf(key, signal);
    await this.#pool.run(
      { subject: this.#subject(key), step: 'remove', signal },
      async (client) => {
        try {
          await client.remove(path);
        } catch (error) {
          if (replyCode(error) !== 550 || (await sizeOf(client, path)) !== undefined) throw error;
          return;
        }
        const folder = folderOf(path);
        if (folder === folderOf(this.#root)) return;
        this.#knownFolders.delete(folder);
        try {
          await client.removeEmptyDir(folder);
        } catch (error) {
          if (replyCode(error) === undefined) throw error;
        }
      },
    );
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (start !== '' && !isObjectKey(start.slice(0, -1))) return;
    yield* this.#listFolder(start, prefix, signal);
  }

  async close(): Promise<void> {
    this.#pool.close();
  }

  #pathOf(key: ObjectKey, signal: AbortSignal | undefined): string {
    signal?.throwIfAborted();
    assertObjectKey(key);
    return this.#root + key;
  }

  #subject(key: ObjectKey): string {
    return `${this.label}/${key}`;
  }

  /** Makes the folder if it turns out to be needed. */
  async #upload(client: Client, path: string, bytes: Uint8Array, subject: string): Promise<void> {
    const folder = folderOf(path);
    if (!this.#knownFolders.has(folder)) await this.#makeFolders(client, folder);
    try {
      await uploadWhole(client, path, bytes, subject);
    } catch (error) {
      if (!(await this.#canTryAgain(client, error, folder))) throw error;
      await uploadWhole(client, path, bytes, subject);
    }
  }

  /** Others remove folders that are empty. */
  async #canTryAgain(client: Client, error: unknown, folder: string): Promise<boolean> {
    const reply = replyCode(error);
    if (reply !== 550 && reply !== 553) return false;
    await this.#makeFolders(client, folder);
    return true;
  }

  /** The folder, those above it, and the root, but nothing above that. What is there stays. */
  async #makeFolders(client: Client, folder: string): Promise<void> {
    const root = folderOf(this.#root);
    const names = folder.slice(root.length).split('/');
    let path = root;
    for (const [i, name] of ['', ...names.filter((part) => part !== '')].entries()) {
      if (i > 0) path = path === '' || path.endsWith('/') ? path + name : `${path}/${name}`;
      if (path === '' || path === '/') continue;
      try {
        await client.send(`MKD ${path}`);
      } catch (error) {
        // It is there, or it cannot be made: writing into it tells.
        if (replyCode(error) === undefined) throw error;
      }
    }
    if (this.#knownFolders.size > MOST_KNOWN) this.#knownFolders.clear();
    this.#knownFolders.add(folder);
  }

  async *#listFolder(
    keyPrefix: string,
    wanted: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ListedObject> {
    signal?.throwIfAborted();
    if (keyPrefix.split('/').length > MAX_DEPTH) return;
    for (const entry of await this.#entriesOf(keyPrefix, signal)) {
      const key = keyPrefix + entry.name;
      const name = entry.isDirectory ? `${key}/` : key;
      if (!isObjectKey(key) || !(name.startsWith(wanted) || wanted.startsWith(name))) continue;
      if (entry.isDirectory) yield* this.#listFolder(name, wanted, signal);
      else if (entry.isFile && name.startsWith(wanted) && !TEMPORARY_NAME.test(name)) {
        const { size } = entry;
        // Only some servers tell times with the names that can be relied on.
        const info = entry.modifiedAt
          ? { size, modified: entry.modifiedAt }
          : await this.stat(key, signal === undefined ? {} : { signal });
        if (info !== undefined) yield { key, ...info };
      }
    }
  }

  /** A folder that is not there, or no more, has none. */
  #entriesOf(keyPrefix: string, signal: AbortSignal | undefined): Promise<readonly FileInfo[]> {
    const path = (this.#root + keyPrefix).replace(/(?<=.)\/$/, '');
    const subject = this.#subject(keyPrefix).replace(/\/$/, '');
    return this.#pool.run({ subject, step: 'list', signal }, async (client) => {
      try {
        return await client.list(path);
      } catch (error) {
        if (replyCode(error) !== 550 || saysDenied(error)) throw error;
        return [];
      }
    });
  }
}

function folderOf(path: string): string {
  const end = path.lastIndexOf('/');
  return end <= 0 ? path.slice(0, end + 1) : path.slice(0, end);
}
