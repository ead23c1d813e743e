/** Writing to disk ahead of a sync, so that several files need not wait one after another. */
import { libc } from './libc.node.ts';

const SYNC_FILE_RANGE_WRITE = 2;

/**
 * Begins to write what was written to a file to disk, and does not wait. Promises nothing: only a
 * sync does. Where the system cannot do it, nothing happens.
 */
export function beginWriteback(fd: number): void {
  libc()?.sync_file_range?.(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
