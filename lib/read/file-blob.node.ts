/**
 * A file or block device on this machine as a blob that can be read anywhere. What is in memory already is
 * read at once; for the rest a thread of Node's waits for the disk.
 */
import { setMaxListeners } from 'node:events';
import { fstatSync, read as readInBackground } from 'node:fs';
import { about } from '../../formats/errors.ts';
import type { SignalOption } from '../../store/backend.ts';
import { abortedError, PipelineError, throwIfAborted } from '../errors.ts';
import { blockDeviceSize } from '../os/block-device.node.ts';
import { nextData, nextHole } from '../os/holes.node.ts';
import { type CachedRead, openCachedRead } from '../os/read-cached.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { deferred } from '../work/deferred.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  withinBlob,
} from './blob-reader.ts';
import { FileBuffers } from './file-buffers.node.ts';
import { unlessAborted } from './waiting.ts';

/** Longer ranges keep the event loop waiting for too long, even if they are only copied. */
const LONGEST_AT_ONCE = 256 * 1024;
/** Reads that wait for the disk at a time. Node has four threads for them, and other work. */
const MOST_UNDER_WAY = 8;

/**
 * @param descriptor stays open; must not be closed before the reader is
 * @throws PipelineError about the label
 */
export function openFileBlob(descriptor: number, label: string): BlobReader {
  const stats = fstatSync(descriptor);
  const size = stats.isBlockDevice() ? blockDeviceSize(descriptor, label) : stats.size;
  return new FileBlob(descriptor, { label, size, isDevice: stats.isBlockDevice() });
}

class FileBlob implements BlobReader {
  readonly label: string;
  readonly size: number;
  readonly #isDevice: boolean;
  readonly #descriptor: number;
  readonly #readCached: CachedRead | undefined;
  readonly #buffers = new FileBuffers();
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<BlobBytes>>();
  /** In order. */
  readonly #waiting = new Set<() => void>();

  constructor(
    descriptor: number,
    facts: { readonly label: string; readonly size: number; readonly isDevice: boolean },
  ) {
    this.#descriptor = descriptor;
    this.label = facts.label;
    this.size = facts.size;
    this.#isDevice = facts.isDevice;
    this.#readCached = openCachedRead(descriptor);
    setMaxListeners(0, this.#closing.signal);
  }

  read(range: BlobRange, { signal }: SignalOption = {}): BlobBytes | Promise<BlobBytes> {
    throwIfAborted(signal);
    throwIfAborted(this.#closing.signal);
    const { offset, length } = withinBlob(range, this.size);
    if (length > LONGEST_AT_ONCE || this.#readCached === undefined) {
      return this.#readLater({ offset, length }, signal);
    }
    const bytes = this.#buffers.take(length);
    const done = length === 0 ? 0 : this.#readCached(bytes.pieces[0], offset);
    if (done === length) return bytes;
    bytes.release();
    return this.#readLater({ offset, length }, signal);
  }

  extentAt(offset: number): BlobExtent {
    const rest = { end: this.size, isZero: false };
    // Devices have no holes that could be asked for.
    if (this.#isDevice) return rest;
    const data = nextData(this.#descriptor, offset);
    // A file that became shorter has no data there either, but no zeros.
    if (data === undefined) {
      return { ...rest, isZero: fstatSync(this.#descriptor).size >= this.size };
    }
    if (data > offset) return { end: Math.min(data, this.size), isZero: true };
    const hole = nextHole(this.#descriptor, offset) ?? this.size;
    return hole > offset && hole < this.size ? { end: hole, isZero: false } : rest;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    // The descriptor may be another file's afterwards.
    await Promise.allSettled(this.#underWay);
  }

  async #readLater(range: BlobRange, signal: AbortSignal | undefined): Promise<BlobBytes> {
    const closing = this.#closing.signal;
    if (this.#underWay.size >= MOST_UNDER_WAY) await this.#turn(signal);
    const reading = this.#fill(range);
    this.#underWay.add(reading);
    const ended = (): void => this.#hasEnded(reading);
    reading.then(ended, ended);
    let isGivenUp = true;
    try {
      const bytes = await unlessAborted(reading, signal, closing);
      isGivenUp = false;
      return bytes;
    } finally {
      if (isGivenUp) reading.then((bytes) => bytes.release()).catch(() => {});
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve: begin } = deferred<void>();
    this.#waiting.add(begin);
    try {
      await unlessAborted(promise, signal, this.#closing.signal);
    } catch (error) {
      // Whose turn has come already passes it on.
      if (!this.#waiting.delete(begin)) this.#beginNext();
      throw error;
    }
  }

  #hasEnded(reading: Promise<BlobBytes>): void {
    this.#underWay.delete(reading);
    this.#beginNext();
  }

  #beginNext(): void {
    const [begin] = this.#waiting;
    if (begin === undefined) return;
    this.#waiting.delete(begin);
    begin();
  }

  async #fill({ offset, length }: BlobRange): Promise<BlobBytes> {
    const bytes = this.#buffers.take(length);
    try {
      let position = offset;
      for (const piece of bytes.pieces) {
        await this.#fillPiece(piece, position);
        position += piece.length;
      }
      return bytes;
    } catch (error) {
      bytes.release();
      throw about(this.label, error);
    }
  }

  async #fillPiece(piece: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < piece.length; ) {
      const length = await readSome(this.#descriptor, piece.subarray(done), offset + done);
      if (length === 0) throw endedEarly(offset + done);
      done += length;
      if (this.#closing.signal.aborted) throw abortedError();
    }
  }
}

function readSome(descriptor: number, into: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readInBackground(descriptor, into, 0, into.length, offset, (error, length) => {
      if (error) reject(systemFailure('read', error));
      else resolve(length);
    });
  });
}

function endedEarly(offset: number): PipelineError {
  const reason = `the file became shorter, it ends at ${offset} now`;
  return new PipelineError('SOURCE_CHANGED', { step: 'read', reason });
}
