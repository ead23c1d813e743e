/** An index or archive on an FTP server, as RemoteFile. Used by ftp.node.ts. */
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import type { Client } from 'basic-ftp';
import type { SignalOption } from '../backend.ts';
import { ObjectMissing } from '../errors.ts';
import type { FileWriter, RemoteFile } from '../remote-file.ts';
import { toFtpError } from './ftp-failure.node.ts';
import type { FtpPool } from './ftp-pool.node.ts';
import {
  assertArrived,
  assertWhole,
  downloadPart,
  removeQuietly,
  renameOver,
  sizeOf,
  timeOf,
} from './ftp-transfer.node.ts';

const BUFFER_LENGTH = 1024 * 1024;
const MAX_NAME_LENGTH = 255;

/** @param pool of which the connections become; it is closed with the file */
export function openFtpRemoteFile(pool: FtpPool): RemoteFile {
  const { label, path } = pool.location;

  async function knownSize(client: Client): Promise<number> {
    const size = await sizeOf(client, path);
    if (size === undefined) throw new ObjectMissing({ subject: label, reason: 'No such file' });
    return size;
  }

  async function* read({ signal }: SignalOption = {}): AsyncGenerator<Uint8Array> {
    const client = await pool.take(signal);
    const bytes = new PassThrough({ highWaterMark: BUFFER_LENGTH });
    const stop = (): void => client.close();
    signal?.addEventListener('abort', stop, { once: true });
    let isWhole = false;
    try {
      const size = await knownSize(client);
      let count = 0;
      const transfer = client.downloadTo(bytes, path);
      transfer.catch((error) => bytes.destroy(error));
      for await (const piece of bytes) {
        count += piece.length;
        yield piece;
      }
      await transfer;
      assertWhole(label, count, size);
      isWhole = true;
    } catch (error) {
      signal?.throwIfAborted();
      throw toFtpError(error, label, 'read');
    } finally {
      signal?.removeEventListener('abort', stop);
      // A transfer that nobody waits for can only be ended with its connection.
      if (!isWhole) client.close();
      pool.giveBack(client);
    }
  }

  return {
    label,
    read,
    stat: ({ signal } = {}) =>
      pool.run({ subject: label, step: 'look up', signal }, async (client) => {
        const size = await knownSize(client);
        const modified = await timeOf(client, path);
        if (modified === undefined) return { size, hasRanges: true };
        return { size, hasRanges: true, version: modified.toISOString() };
      }),
    readRange: (range, { signal } = {}) =>
      pool.run({ subject: label, step: 'read', signal }, async (client) => {
        const size = await knownSize(client);
        const offset = Math.min(range.offset, size);
        const bytes = new Uint8Array(Math.min(range.length, size - offset));
        const behind = size - offset - bytes.length;
        await downloadPart(client, { path, subject: label, offset, bytes, behind });
        return bytes;
      }),
    openWriter: async ({ signal } = {}) => new FtpWriter(pool, await pool.take(signal)),
    close: async () => pool.close(),
  };
}

class FtpWriter implements FileWriter {
  readonly #pool: FtpPool;
  readonly #client: Client;
  readonly #temporary: string;
  readonly #bytes = new PassThrough({ highWaterMark: BUFFER_LENGTH });
  readonly #upload: Promise<unknown>;
  #length = 0;
  #isDone = false;

  constructor(pool: FtpPool, client: Client) {
    this.#pool = pool;
    this.#client = client;
    this.#temporary = temporaryPath(pool.location.path);
    this.#upload = client.uploadFrom(this.#bytes, this.#temporary);
    this.#upload.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#length += bytes.length;
    if (this.#bytes.write(Buffer.from(bytes))) return;
    let wake = (): void => {};
    const drained = new Promise<void>((resolve) => {
      wake = resolve;
      this.#bytes.once('drain', resolve);
    });
    try {
      await Promise.race([drained, this.#upload]);
    } catch (error) {
      throw toFtpError(error, this.#pool.location.label, 'write');
    } finally {
      this.#bytes.removeListener('drain', wake);
    }
  }

  async commit(): Promise<void> {
    const { label, path } = this.#pool.location;
    try {
      this.#bytes.end();
      await this.#upload;
      await assertArrived(this.#client, this.#temporary, this.#length, label);
      await renameOver(this.#client, this.#temporary, path);
      this.#isDone = true;
      this.#pool.giveBack(this.#client);
    } catch (error) {
      await this.discard();
      throw toFtpError(error, label, 'store');
    }
  }

  async discard(): Promise<void> {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#client.close();
    this.#pool.giveBack(this.#client);
    const { label } = this.#pool.location;
    try {
      await this.#pool.run({ subject: label, step: 'remove' }, (client) =>
        removeQuietly(client, this.#temporary),
      );
    } catch {
      // It stays behind, as after a lost connection.
    }
  }
}

/** `.#NAME` and 16 hexadecimal digits, as for files on this machine. */
function temporaryPath(path: string): string {
  const nameStart = path.lastIndexOf('/') + 1;
  let name = path.slice(nameStart);
  while (Buffer.byteLength(name) > MAX_NAME_LENGTH - 2 - 16) name = name.slice(0, -1);
  return `${path.slice(0, nameStart)}.#${name}${randomBytes(8).toString('hex')}`;
}
