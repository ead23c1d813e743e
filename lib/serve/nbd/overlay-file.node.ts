/** The file of an overlay on this machine: created whole, locked as long as it is open. */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  read,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { about, isCasError } from '../../../formats/errors.ts';
import {
  encodeOverlayHeader,
  OVERLAY_ID_LENGTH,
  type OverlayHeader,
  overlayLayout,
} from '../../../formats/overlay.ts';
import {
  createExclusively,
  removeQuietly,
  syncFolder,
} from '../../../store/backends/durable-write.node.ts';
import { NODE_FILE_CALLS } from '../../../store/backends/file-calls.node.ts';
import { PipelineError } from '../../errors.ts';
import { createFileCalls } from '../../os/file-calls.node.ts';
import { nextData, releaseSpace, reserveSpace } from '../../os/holes.node.ts';
import { nativeAvailable } from '../../os/libc.node.ts';
import { tryLock } from '../../os/lock.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { writeFully, writeFullySync } from '../../os/write.node.ts';
import type { OverlayFile } from './overlay-file.ts';

const STEP = 'open overlay';
const MODE = 0o600;
const LONGEST_NAME = 255;
const ZERO_LENGTH = 1 << 20;

const readSome = promisify(read);
const syncData = promisify(fdatasync);
const { O_NOCTTY, O_NONBLOCK, O_RDWR } = constants;

/**
 * Opens the file at `path`; creates it first, for an image of `size` bytes, if there is none.
 * @throws CasError `LEASE_HELD` while somebody else has it open
 */
export async function openOverlayFile(
  path: string,
  image: Pick<OverlayHeader, 'size' | 'identity'>,
): Promise<OverlayFile> {
  if (!nativeAvailable()) {
    const reason = 'files cannot be locked without koffi';
    throw new PipelineError('UNSUPPORTED', { subject: path, step: STEP, reason });
  }
  const descriptor = tryOpen(path) ?? (await createAndOpen(path, image));
  try {
    checkOpened(descriptor, path);
    return bind(descriptor, path);
  } catch (error) {
    closeSync(descriptor);
    throw about(path, error);
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure(STEP, error, path);
  }
}

function checkOpened(descriptor: number, path: string): void {
  const stats = fstatSync(descriptor);
  if (!stats.isFile()) {
    throw new PipelineError('USAGE', { step: STEP, reason: 'not a regular file' });
  }
  const inUse = new PipelineError('LEASE_HELD', { step: STEP, reason: 'in use by someone else' });
  if (!tryLock(descriptor)) throw inUse;
  // Whoever had the lock before may have put another file in its place.
  const named = statSync(path, { throwIfNoEntry: false });
  if (named?.ino !== stats.ino || named.dev !== stats.dev) throw inUse;
}

async function createAndOpen(
  path: string,
  image: Pick<OverlayHeader, 'size' | 'identity'>,
): Promise<number> {
  let name = basename(path);
  while (Buffer.byteLength(name) > LONGEST_NAME - 18) name = name.slice(0, -1);
  const temporary = join(dirname(path), `.#${name}${randomBytes(8).toString('hex')}`);
  try {
    writeNew(temporary, image);
    // Without replacing what somebody else has created meanwhile.
    (createFileCalls() ?? NODE_FILE_CALLS).renameNew(temporary, path);
    await syncFolder(dirname(path));
    return openSync(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
  } catch (error) {
    throw isCasError(error) ? about(path, error) : systemFailure('create overlay', error, path);
  } finally {
    removeQuietly(temporary);
  }
}

function writeNew(path: string, image: Pick<OverlayHeader, 'size' | 'identity'>): void {
  const { fileSize, mapOffset } = overlayLayout(image.size);
  const id = randomBytes(OVERLAY_ID_LENGTH);
  const descriptor = createExclusively(path, MODE);
  try {
    ftruncateSync(descriptor, fileSize);
    // The journal is written whole now: its place is needed when the disk is full.
    const head = new Uint8Array(mapOffset);
    head.set(encodeOverlayHeader({ ...image, id }, crc32));
    writeFullySync(descriptor, head, 0);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function bind(descriptor: number, label: string): OverlayFile {
  async function failing<T>(step: string, result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw about(label, isCasError(error) ? error : systemFailure(step, error));
    }
  }
  const write = (offset: number, bytes: Uint8Array): Promise<void> =>
    failing('write', writeFully(descriptor, bytes, offset));
  return {
    label,
    size: fstatSync(descriptor).size,
    write,
    read: (offset, into) => failing('read', fill(descriptor, into, offset)),
    async release(offset, length) {
      await releaseSpace(descriptor, offset, length);
    },
    async reserve(offset, length) {
      if (await failing('write', reserveSpace(descriptor, offset, length))) return;
      const zeros = new Uint8Array(Math.min(ZERO_LENGTH, length));
      for (let at = 0; at < length; at += zeros.length) {
        await write(offset + at, zeros.subarray(0, Math.min(zeros.length, length - at)));
      }
    },
    sync: () => failing('sync', syncData(descriptor)),
    nextData: (offset) => nextData(descriptor, offset),
    close: () => closeSync(descriptor),
  };
}

async function fill(descriptor: number, into: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await readSome(descriptor, into, done, into.length - done, offset + done);
    if (bytesRead === 0) throw new PipelineError('IO', { step: 'read', reason: 'file has shrunk' });
    done += bytesRead;
  }
}
