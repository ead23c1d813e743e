/**
 * A file that is being written, kept here until it is complete: then its length is known, and it can
 * be sent again after a failure. Small ones in memory, others in a file without a name.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { toStorageError } from '../system-error.node.ts';

/** Bytes. */
const MOST_IN_MEMORY = 8 * 1024 * 1024;
const READ_SIZE = 256 * 1024;

export class Spool {
  readonly #folder: string;
  #pieces: Uint8Array[] = [];
  #length = 0;
  #file: FileHandle | undefined;

  /** @param folder for large files; the usual one if left out */
  constructor(folder: string | undefined) {
    this.#folder = folder || tmpdir();
  }

  get length(): number {
    return this.#length;
  }

  /** @throws StorageError */
  async write(bytes: Uint8Array): Promise<void> {
    const start = this.#length;
    this.#length += bytes.length;
    if (this.#file === undefined && this.#length <= MOST_IN_MEMORY) {
      this.#pieces.push(bytes.slice());
      return;
    }
    try {
      this.#file ??= await this.#moveToFile();
      await writeAll(this.#file, bytes, start);
    } catch (error) {
      throw toStorageError(error, this.#folder, 'write temporary file');
    }
  }

  /** All bytes from the beginning, each time it is called. */
  content(): Readable {
    return Readable.from(this.#file ? readAll(this.#file, this.#length) : this.#pieces, {
      objectMode: false,
    });
  }

  async close(): Promise<void> {
    this.#pieces = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #moveToFile(): Promise<FileHandle> {
    const path = join(this.#folder, `casync-${process.pid}-${crypto.randomUUID()}.tmp`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    let offset = 0;
    for (const piece of this.#pieces) {
      await writeAll(file, piece, offset);
      offset += piece.length;
    }
    this.#pieces = [];
    return file;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, undefined, start + written);
    written += bytesWritten;
  }
}

async function* readAll(file: FileHandle, length: number): AsyncGenerator<Uint8Array> {
  let offset = 0;
  while (offset < length) {
    const room = new Uint8Array(Math.min(READ_SIZE, length - offset));
    const { bytesRead } = await file.read(room, 0, room.length, offset);
    if (bytesRead === 0) throw new Error('the temporary file has become shorter');
    yield room.subarray(0, bytesRead);
    offset += bytesRead;
  }
}
