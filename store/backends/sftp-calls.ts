/**
 * The operations of SFTP, one function each, with errors of ours. Used for objects (sftp-objects.ts)
 * and for single files (sftp-file.ts).
 */
import { type CasError, FormatError, isCasError } from '../../formats/errors.ts';
import { ObjectMissing, StorageError, type StorageErrorCode } from '../errors.ts';
import {
  type Field,
  type FileAttributes,
  NO_ATTRIBUTES,
  OPEN_FLAG,
  PACKET,
  permissionAttributes,
  STATUS,
} from './sftp-packets.ts';
import type { Destination } from './sftp-reader.ts';
import type { SftpReply, SftpSession } from './sftp-session.ts';

const MAX_HANDLE_LENGTH = 256;

const CODES: { readonly [status: number]: StorageErrorCode } = {
  [STATUS.PERMISSION_DENIED]: 'DENIED',
  [STATUS.WRITE_PROTECT]: 'DENIED',
  [STATUS.NO_CONNECTION]: 'UNAVAILABLE',
  [STATUS.CONNECTION_LOST]: 'UNAVAILABLE',
  [STATUS.NO_SPACE_ON_FILESYSTEM]: 'TARGET_FULL',
  [STATUS.QUOTA_EXCEEDED]: 'TARGET_FULL',
};

const TEXTS: { readonly [status: number]: string } = {
  [STATUS.NO_SUCH_FILE]: 'No such file or directory',
  [STATUS.PERMISSION_DENIED]: 'Permission denied',
};

/** A file that is there, but for a name that is not. */
export interface FolderEntry {
  /** One character for each byte. */
  readonly name: string;
  readonly attributes: FileAttributes;
}

/** All operations take a path, which is relative or absolute as the server has it. */
export class SftpCalls {
  readonly session: SftpSession;
  readonly #label: string;
  readonly #root: string;

  /** @param root the part of paths that `label` stands for in messages */
  constructor(session: SftpSession, label: string, root: string) {
    this.session = session;
    this.#label = label.replace(/\/+$/, '');
    this.#root = root;
  }

  /** A path as it may be shown. */
  subject(path: string): string {
    return path.startsWith(this.#root) ? this.#label + path.slice(this.#root.length) : this.#label;
  }

  /** A link itself, where there is one. @throws ObjectMissing | StorageError */
  lstat(path: string): Promise<FileAttributes> {
    return this.#attributes(PACKET.LSTAT, path);
  }

  /** What links lead to. @throws ObjectMissing | StorageError */
  stat(path: string): Promise<FileAttributes> {
    return this.#attributes(PACKET.STAT, path);
  }

  /** Whether there is anything. @throws StorageError */
  async exists(path: string): Promise<boolean> {
    try {
      await this.lstat(path);
      return true;
    } catch (error) {
      if (isCasError(error) && error.code === 'OBJECT_MISSING') return false;
      throw error;
    }
  }

  /** @throws StorageError */
  fstat(path: string, handle: string): Promise<FileAttributes> {
    return this.#attributes(PACKET.FSTAT, path, handle);
  }

  /** @throws ObjectMissing | StorageError */
  openForReading(path: string): Promise<string> {
    return this.#handle(path, PACKET.OPEN, [path, OPEN_FLAG.READ, ...NO_ATTRIBUTES]);
  }

  /** A new file. @throws ObjectMissing if its folder is; StorageError, also if it is there */
  create(path: string, mode: number): Promise<string> {
    const flags = OPEN_FLAG.WRITE | OPEN_FLAG.CREATE | OPEN_FLAG.EXCLUSIVE;
    return this.#handle(path, PACKET.OPEN, [path, flags, ...permissionAttributes(mode)]);
  }

  /** @throws ObjectMissing | StorageError */
  openFolder(path: string): Promise<string> {
    return this.#handle(path, PACKET.OPENDIR, [path]);
  }

  async closeHandle(path: string, handle: string): Promise<void> {
    this.#expectOk(path, 'close', await this.session.request(PACKET.CLOSE, [handle]));
  }

  /** For what was only read. */
  async closeQuietly(handle: string): Promise<void> {
    try {
      await this.session.request(PACKET.CLOSE, [handle]);
    } catch {
      // With the connection, the handle is gone.
    }
  }

  /** @returns how many bytes there were; none at the end of the file */
  async read(
    path: string,
    handle: string,
    offset: number,
    destination: Destination,
  ): Promise<number> {
    const reply = await this.session.read(handle, offset, destination);
    if (typeof reply === 'number') return reply;
    const status = this.#status(reply);
    if (status.code === STATUS.EOF) return 0;
    throw this.#failure(path, 'read', status);
  }

  async write(path: string, handle: string, offset: number, bytes: Uint8Array): Promise<void> {
    const reply = await this.session.request(PACKET.WRITE, [handle, BigInt(offset)], bytes);
    const status = this.#status(reply);
    if (status.code === STATUS.OK) return;
    const isFull = status.code === STATUS.FAILURE && (await this.#isFull(path));
    throw this.#failure(
      path,
      'write',
      isFull ? { code: STATUS.NO_SPACE_ON_FILESYSTEM, text: 'No space left on device' } : status,
    );
  }

  /** Makes the bytes of an open file durable, where the server can. */
  async sync(path: string, handle: string): Promise<void> {
    if (!this.session.extensions.has('fsync@openssh.com')) return;
    const fields = ['fsync@openssh.com', handle];
    this.#expectOk(path, 'sync', await this.session.request(PACKET.EXTENDED, fields));
  }

  /** Makes the names in a folder durable, where the server can. */
  async syncFolder(path: string): Promise<void> {
    if (!this.session.extensions.has('fsync@openssh.com')) return;
    let handle: string;
    try {
      handle = await this.openForReading(path);
    } catch (error) {
      if (isCasError(error) && error.code !== 'UNAVAILABLE') return;
      throw error;
    }
    try {
      await this.sync(path, handle);
    } finally {
      await this.closeQuietly(handle);
    }
  }

  /** @throws ObjectMissing if the folder above is; StorageError, also if it is there */
  async makeFolder(path: string): Promise<void> {
    const fields = [path, ...permissionAttributes(0o777)];
    this.#expectOk(path, 'create', await this.session.request(PACKET.MKDIR, fields));
  }

  /** @throws ObjectMissing | StorageError */
  async remove(path: string): Promise<void> {
    this.#expectOk(path, 'remove', await this.session.request(PACKET.REMOVE, [path]));
  }

  async removeQuietly(path: string): Promise<void> {
    try {
      await this.session.request(PACKET.REMOVE, [path]);
    } catch {
      // What cannot be removed is a temporary that nobody reads.
    }
  }

  /** @returns whether the folder was empty and is gone */
  async removeFolder(path: string): Promise<boolean> {
    const reply = await this.session.request(PACKET.RMDIR, [path]);
    return this.#status(reply).code === STATUS.OK;
  }

  /** Gives a file another name. @returns false if that was there; then nothing has changed */
  async renameIfAbsent(from: string, to: string): Promise<boolean> {
    const status = this.#status(await this.session.request(PACKET.RENAME, [from, to]));
    if (status.code === STATUS.OK) return true;
    if (await this.exists(to)) return false;
    throw this.#failure(to, 'store', status);
  }

  /** Gives a file another name, in the place of what was there: at once, where the server can. */
  async renameOver(from: string, to: string): Promise<void> {
    if (this.session.extensions.has('posix-rename@openssh.com')) {
      const fields = ['posix-rename@openssh.com', from, to];
      this.#expectOk(to, 'store', await this.session.request(PACKET.EXTENDED, fields));
      return;
    }
    if (await this.renameIfAbsent(from, to)) return;
    await this.remove(to);
    if (await this.renameIfAbsent(from, to)) return;
    throw this.#failure(to, 'store', { code: STATUS.FAILURE, text: 'File exists' });
  }

  /** The next entries of an open folder; none at its end. @throws StorageError */
  async readFolder(path: string, handle: string): Promise<readonly FolderEntry[]> {
    const reply = await this.session.request(PACKET.READDIR, [handle]);
    if (reply.type !== PACKET.NAME) {
      const status = this.#status(reply);
      if (status.code === STATUS.EOF) return [];
      throw this.#failure(path, 'list', status);
    }
    return this.#decode(() => {
      const entries: FolderEntry[] = [];
      for (let left = reply.fields.takeUint32(); left > 0; left--) {
        const name = reply.fields.takeText();
        reply.fields.takeBytes();
        entries.push({ name, attributes: reply.fields.takeAttributes() });
      }
      return entries;
    });
  }

  async #attributes(type: number, path: string, handle = path): Promise<FileAttributes> {
    const reply = await this.session.request(type, [handle]);
    if (reply.type === PACKET.ATTRS) return this.#decode(() => reply.fields.takeAttributes());
    throw this.#failure(path, 'look up', this.#status(reply));
  }

  async #handle(path: string, type: number, fields: readonly Field[]): Promise<string> {
    const reply = await this.session.request(type, fields);
    if (reply.type !== PACKET.HANDLE) throw this.#failure(path, 'open', this.#status(reply));
    const handle = this.#decode(() => reply.fields.takeText());
    if (handle.length <= MAX_HANDLE_LENGTH) return handle;
    throw this.#broken(new FormatError('SFTP', 'HANDLE', 0, `${handle.length} bytes`));
  }

  /** Whether writing failed for want of room: version 3 has no code for that. */
  async #isFull(path: string): Promise<boolean> {
    if (!this.session.extensions.has('statvfs@openssh.com')) return false;
    const folder = path.slice(0, path.lastIndexOf('/') + 1) || '.';
    const reply = await this.session.request(PACKET.EXTENDED, ['statvfs@openssh.com', folder]);
    if (reply.type !== PACKET.EXTENDED_REPLY) return false;
    // Sizes of blocks, blocks, free, available; nodes, free, available.
    const values = this.#decode(() => Array.from({ length: 8 }, () => reply.fields.takeUint64()));
    const [, , blocks, , available, nodes, , availableNodes] = values;
    return (blocks > 0 && available === 0) || (nodes > 0 && availableNodes === 0);
  }

  #expectOk(path: string, step: string, reply: SftpReply): void {
    const status = this.#status(reply);
    if (status.code !== STATUS.OK) throw this.#failure(path, step, status);
  }

  #status({ type, fields }: SftpReply): Status {
    return this.#decode(() => {
      if (type !== PACKET.STATUS) throw new FormatError('SFTP', 'reply', 0, `type ${type}`);
      const code = fields.takeUint32();
      // The oldest servers say no more than the code.
      return { code, text: fields.isAtEnd ? '' : fields.takeText() };
    });
  }

  #decode<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      throw error instanceof FormatError ? this.#broken(error) : error;
    }
  }

  #broken(cause: FormatError): StorageError {
    const reason = `the answer is no SFTP: ${cause.message}`;
    return new StorageError('IO', { subject: this.#label, reason, cause });
  }

  #failure(path: string, step: string, { code, text }: Status): CasError {
    const subject = this.subject(path);
    const shown = text.replace(/[^\x20-\x7e]/g, '').slice(0, 200);
    const reason = TEXTS[code] ?? (shown === '' ? `SFTP status ${code}` : shown);
    if (code === STATUS.NO_SUCH_FILE) return new ObjectMissing({ subject, reason });
    const storageCode = CODES[code] ?? 'IO';
    const retry = storageCode === 'UNAVAILABLE' ? 'later' : 'never';
    return new StorageError(storageCode, { subject, step, reason, retry });
  }
}

interface Status {
  readonly code: number;
  readonly text: string;
}
