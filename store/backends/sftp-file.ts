/** An index or archive on an SFTP server, as RemoteFile. Used by sftp.node.ts. */
import type { ObjectRange, SignalOption } from '../backend.ts';
import { StorageError } from '../errors.ts';
import type { FileWriter, RemoteFile, RemoteFileInfo } from '../remote-file.ts';
import { orAborted } from './or-aborted.ts';
import type { SftpCalls } from './sftp-calls.ts';
import { notMissing, randomDigits } from './sftp-objects.ts';
import type { SftpPlace } from './sftp-place.ts';
import { allDone, readPart, windowSize } from './sftp-transfer.ts';

const FILE_MODE = 0o666;
const MAX_NAME_LENGTH = 255;

/** @param place of which the file becomes; it is closed with the file */
export function openSftpRemoteFile(place: SftpPlace): RemoteFile {
  const { label, path } = place.location;

  /** The file that links lead to, open, and its size. */
  async function open(calls: SftpCalls): Promise<{ handle: string; size: number }> {
    const handle = await calls.openForReading(path);
    try {
      const { type, size } = await calls.fstat(path, handle);
      if (type === 'file') return { handle, size };
      throw new StorageError('IO', { subject: label, step: 'read', reason: 'Not a regular file' });
    } catch (error) {
      void calls.closeQuietly(handle);
      throw error;
    }
  }

  async function readRange(
    calls: SftpCalls,
    range: ObjectRange,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const { handle, size } = await open(calls);
    try {
      const length = Math.max(0, Math.min(range.length, size - range.offset));
      const bytes = new Uint8Array(length);
      const part = { path, handle, offset: range.offset, bytes, isLast: false };
      if (await readPart(calls, part, signal)) return bytes;
      throw cutOff(label, size);
    } finally {
      void calls.closeQuietly(handle);
    }
  }

  async function* read({ signal }: SignalOption = {}): AsyncGenerator<Uint8Array> {
    const { calls, handle, size } = await place.run(signal, async (current) => ({
      calls: current,
      ...(await open(current)),
    }));
    try {
      yield* readAhead(calls, { path, label, handle, size }, signal);
    } finally {
      void calls.closeQuietly(handle);
    }
  }

  return {
    label,
    read,
    stat: ({ signal } = {}): Promise<RemoteFileInfo> =>
      place.run(signal, async (calls) => {
        const { type, size, modified } = await calls.stat(path);
        if (type === 'file') return { size, hasRanges: true, version: modified.toISOString() };
        const reason = 'Not a regular file';
        throw new StorageError('IO', { subject: label, step: 'look up', reason });
      }),
    readRange: (range, { signal } = {}) =>
      place.run(signal, (calls) => readRange(calls, range, signal)),
    openWriter: ({ signal } = {}) =>
      place.run(signal, async (calls) => {
        const temporary = temporaryPath(path);
        try {
          const handle = await calls.create(temporary, FILE_MODE);
          return new SftpWriter(calls, { path, temporary, handle });
        } catch (error) {
          throw notMissing(error);
        }
      }),
    close: () => place.close(),
  };
}

function cutOff(subject: string, size: number): StorageError {
  const reason = `file ends before its ${size} bytes`;
  return new StorageError('IO', { subject, step: 'read', reason });
}

interface OpenFile {
  readonly path: string;
  readonly label: string;
  readonly handle: string;
  readonly size: number;
}

/** All bytes in order, with as many requests under way as the window has. */
async function* readAhead(
  calls: SftpCalls,
  { path, label, handle, size }: OpenFile,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { readLength } = calls.session.limits;
  const most = windowSize(readLength);
  const underWay: { readonly buffer: Uint8Array; readonly piece: Promise<Uint8Array> }[] = [];
  const free: Uint8Array[] = [];

  function ask(offset: number): number {
    const length = Math.min(readLength, size - offset);
    const buffer = free.pop() ?? new Uint8Array(length);
    const bytes = buffer.subarray(0, length);
    const isLast = offset + length === size;
    const piece = readPart(calls, { path, handle, offset, bytes, isLast }).then((isWhole) => {
      if (isWhole) return bytes;
      throw cutOff(label, size);
    });
    piece.catch(() => {});
    underWay.push({ buffer, piece });
    return offset + length;
  }

  for (let asked = 0; ; ) {
    signal?.throwIfAborted();
    while (asked < size && underWay.length < most) asked = ask(asked);
    const oldest = underWay.shift();
    if (oldest === undefined) return;
    yield await orAborted(signal, oldest.piece);
    free.push(oldest.buffer);
  }
}

interface NewFile {
  readonly path: string;
  readonly temporary: string;
  readonly handle: string;
}

class SftpWriter implements FileWriter {
  readonly #calls: SftpCalls;
  readonly #file: NewFile;
  readonly #blockLength: number;
  readonly #underWay: Promise<void>[] = [];
  #block: Uint8Array;
  #blockUsed = 0;
  #offset = 0;
  #state: 'open' | 'closed' | 'done' = 'open';

  constructor(calls: SftpCalls, file: NewFile) {
    this.#calls = calls;
    this.#file = file;
    this.#blockLength = calls.session.limits.writeLength;
    this.#block = new Uint8Array(this.#blockLength);
  }

  async write(bytes: Uint8Array): Promise<void> {
    // The caller may reuse its bytes, and waiting comes after the last of them was taken.
    const waits: Promise<void>[] = [];
    for (let taken = 0; taken < bytes.length; ) {
      const room = this.#blockLength - this.#blockUsed;
      const length = Math.min(room, bytes.length - taken);
      this.#block.set(bytes.subarray(taken, taken + length), this.#blockUsed);
      this.#blockUsed += length;
      taken += length;
      if (this.#blockUsed === this.#blockLength) this.#send();
      if (this.#underWay.length >= windowSize(this.#blockLength)) {
        const oldest = this.#underWay.shift();
        if (oldest !== undefined) waits.push(oldest);
      }
    }
    await Promise.all(waits);
  }

  async commit(): Promise<void> {
    const { path, temporary, handle } = this.#file;
    if (this.#blockUsed > 0) this.#send();
    try {
      await allDone(this.#underWay.splice(0));
      await this.#calls.sync(temporary, handle);
      this.#state = 'closed';
      await this.#calls.closeHandle(temporary, handle);
      await this.#calls.renameOver(temporary, path);
      this.#state = 'done';
    } catch (error) {
      await this.discard();
      throw notMissing(error);
    }
    await this.#calls.syncFolder(path.slice(0, path.lastIndexOf('/')) || '/');
  }

  async discard(): Promise<void> {
    if (this.#state === 'done') return;
    if (this.#state === 'open') await this.#calls.closeQuietly(this.#file.handle);
    this.#state = 'done';
    await this.#calls.removeQuietly(this.#file.temporary);
  }

  /** Sends the block and begins a new one. */
  #send(): void {
    const { temporary, handle } = this.#file;
    const bytes = this.#block.subarray(0, this.#blockUsed);
    const sent = this.#calls.write(temporary, handle, this.#offset, bytes);
    // Told by `write` or `commit`, whichever waits for it.
    sent.catch(() => {});
    this.#underWay.push(sent);
    this.#offset += this.#blockUsed;
    this.#block = new Uint8Array(this.#blockLength);
    this.#blockUsed = 0;
  }
}

/** `.#NAME` and 16 hexadecimal digits, as for files on this machine. */
function temporaryPath(path: string): string {
  const nameStart = path.lastIndexOf('/') + 1;
  const name = path.slice(nameStart, nameStart + MAX_NAME_LENGTH - 2 - 16);
  return `${path.slice(0, nameStart)}.#${name}${randomDigits()}`;
}
