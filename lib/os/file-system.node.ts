/** What kind of file system a file is on, and writing all of one to disk. Used by make and extract. */
import { closeSync, constants, openSync, statfsSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { libc, syncfsInBackground } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { descriptorPath, type Target } from './target.node.ts';

/**
 * The number by which the kernel names the type of file system.
 * @param target an open descriptor, or the path of anything but a symbolic link.
 * @throws PipelineError without subject
 */
export function fileSystemType(target: Target): number {
  const path = typeof target === 'number' ? descriptorPath(target) : Buffer.from(target);
  try {
    return statfsSync(path).type >>> 0;
  } catch (error) {
    throw systemFailure('read file system type', error);
  }
}

/**
 * Writes everything on the file system of `fd` to disk, without blocking the event loop.
 * @returns undefined where that is not possible (no koffi); sync file by file then.
 */
export function syncFileSystem(fd: number): Promise<void> | undefined {
  const syncfs = libc()?.syncfs;
  if (syncfs === undefined) return undefined;
  return syncfsInBackground(syncfs, fd).then((done) => {
    if (!done) throw systemFailure('sync file system', 'EIO');
  });
}

/**
 * The same for the file system that holds `path`.
 * @throws PipelineError `UNSUPPORTED` where that is not possible
 */
export async function syncFileSystemOf(path: string): Promise<void> {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
  try {
    const synced = syncFileSystem(fd);
    if (synced === undefined) throw needsKoffi(path);
    await synced;
  } finally {
    closeSync(fd);
  }
}

function needsKoffi(path: string): PipelineError {
  const reason = 'this needs the package koffi, which is not available';
  return new PipelineError('UNSUPPORTED', { subject: path, step: 'sync file system', reason });
}
