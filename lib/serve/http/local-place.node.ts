/**
 * A folder of this machine, given away by the server. What is opened must lie inside: the kernel is
 * asked where it lies after it has been opened, so that no link leads out (spec/threats.md, "Server").
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectRange } from '../../../store/backend.ts';
import type { FileCalls } from '../../../store/backends/file-calls.node.ts';
import { openLocalBackend } from '../../../store/backends/local.node.ts';
import { StorageError } from '../../../store/errors.ts';
import { systemErrorCode, toStorageError } from '../../../store/system-error.node.ts';
import { PipelineError } from '../../errors.ts';
import { createFileCalls } from '../../os/file-calls.node.ts';
import { syncFileSystem } from '../../os/file-system.node.ts';
import { BufferPool } from '../buffer-pool.ts';
import { PackedChunks } from './packed-chunks.node.ts';
import { type ChunkRoute, type IndexRoute, isIndexName } from './route.ts';
import type { OpenFileOptions, ServedFile, ServedPlace } from './served-place.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
const pool = new BufferPool((size) => Buffer.allocUnsafeSlow(size));
/** Said of what is not there for us: no message about these. */
const ABSENT: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
  'ENAMETOOLONG',
]);

/** @param folder must exist @throws StorageError */
export function openLocalPlace(folder: string): ServedPlace {
  let root = realPath(folder);
  const calls = createFileCalls();
  const isBelow = (path: string): boolean => path === root || path.startsWith(`${root}/`);
  /** The folder may have been renamed, or replaced by another one. */
  const isInside = (path: string): boolean => {
    if (isBelow(path)) return true;
    root = realPath(folder);
    return isBelow(path);
  };
  const packed = new PackedChunks(folder, isInside);
  return {
    label: folder,
    open(route, options) {
      const isAbsent = isMissing(`${folder}/${route.key}`, route, options, calls);
      const file = isAbsent
        ? undefined
        : openFile(folder, route, (path) => isServable(path, route, root, isInside));
      return file === undefined && route.kind === 'chunk' ? packed.open(route) : file;
    },
    async openFolder(name) {
      const path = join(folder, name);
      if (!fs.existsSync(dirname(path))) {
        throw new PipelineError('STORE_MISSING', {
          subject: path,
          reason: 'no folder to make it in',
        });
      }
      if (!isInside(nearestRealPath(path))) {
        throw new StorageError('DENIED', { subject: path, reason: 'leads out of what is served' });
      }
      return openLocalBackend(path, { syncFileSystem, ...(calls ? { calls } : {}) });
    },
    close: () => packed.close(),
  };
}

/** Makers ask for chunks that are not there, above all; an exception for each would cost more. */
function isMissing(
  path: string,
  { kind }: ChunkRoute | IndexRoute,
  { isHead }: OpenFileOptions,
  calls: FileCalls | undefined,
): boolean {
  if (!isHead || kind !== 'chunk' || calls === undefined) return false;
  try {
    return calls.kindAt(path) !== 'file';
  } catch {
    // Opening it will say what is wrong.
    return false;
  }
}

function isServable(
  path: string,
  { kind }: ChunkRoute | IndexRoute,
  root: string,
  isInside: (path: string) => boolean,
): boolean {
  if (!isInside(path)) return false;
  // A link to an index is as good as the index; one to something else is not.
  return kind === 'chunk' || (isIndexName(path) && !path.slice(root.length).includes('/.'));
}

function realPath(path: string): string {
  try {
    const real = fs.realpathSync(path);
    return real === '/' ? '' : real;
  } catch (error) {
    throw toStorageError(error, path, 'open');
  }
}

/** Of the path, or of the nearest folder on the way to it that is there. */
function nearestRealPath(path: string): string {
  for (let current = path; ; current = dirname(current)) {
    if (fs.lstatSync(current, { throwIfNoEntry: false }) !== undefined) return realPath(current);
  }
}

function openFile(
  folder: string,
  route: ChunkRoute | IndexRoute,
  isServable: (realPath: string) => boolean,
): ServedFile | undefined {
  const path = `${folder}/${route.key}`;
  const descriptor = openRegular(path, route);
  if (descriptor === undefined) return undefined;
  try {
    const stats = fs.fstatSync(descriptor);
    if (stats.isFile() && isServable(fs.readlinkSync(`/proc/self/fd/${descriptor}`))) {
      return servedFile(path, descriptor, stats);
    }
  } catch (error) {
    fs.closeSync(descriptor);
    throw toStorageError(error, path, 'open');
  }
  fs.closeSync(descriptor);
  return undefined;
}

function openRegular(path: string, { kind }: ChunkRoute | IndexRoute): number | undefined {
  // A link at a chunk's name says that the chunk is missing.
  const flags = O_RDONLY | O_NONBLOCK | (kind === 'chunk' ? O_NOFOLLOW : 0);
  try {
    return fs.openSync(path, flags);
  } catch (error) {
    if (ABSENT.has(systemErrorCode(error) ?? '')) return undefined;
    throw toStorageError(error, path, 'open');
  }
}

function servedFile(path: string, descriptor: number, stats: fs.Stats): ServedFile {
  const { size, mtime, mtimeMs, ino } = stats;
  let isOpen = true;
  return {
    size,
    modified: mtime,
    get version() {
      const time = Math.round(1000 * mtimeMs).toString(16);
      return `${ino.toString(16)}-${size.toString(16)}-${time}`;
    },
    read: (range) => readRange(path, descriptor, range),
    recycle: (bytes) => pool.release(bytes),
    close() {
      if (isOpen) fs.closeSync(descriptor);
      isOpen = false;
    },
  };
}

function readRange(path: string, descriptor: number, { offset, length }: ObjectRange): Uint8Array {
  const bytes = pool.take(length);
  for (let done = 0; done < length; ) {
    const count = attemptRead(path, descriptor, bytes, done, offset + done);
    if (count === 0) {
      const reason = 'the file has become shorter';
      throw new StorageError('IO', { subject: path, step: 'read', reason });
    }
    done += count;
  }
  return bytes;
}

function attemptRead(
  path: string,
  descriptor: number,
  bytes: Uint8Array,
  start: number,
  position: number,
): number {
  try {
    return fs.readSync(descriptor, bytes, start, bytes.length - start, position);
  } catch (error) {
    throw toStorageError(error, path, 'read');
  }
}
