/** Writing several files to disk without waiting for one after another. Used by extraction. */
import { libc } from './libc.node.ts';

const SYNC_FILE_RANGE_WRITE = 2;

/**
 * Begins to write what was written to a file to disk, and does not wait. Promises nothing: only a
 * sync does. Where the system cannot do it, nothing happens.
 */
export function beginWriteback(fd: number): void {
  libc()?.sync_file_range?.(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/**
 * Waits until everything on the file system of `fd` is on disk.
 * @returns false where that is not possible or has failed: sync each file then, which also tells why
 */
export function syncAll(fd: number): boolean {
  return libc()?.syncfs?.(fd) === 0;
}
