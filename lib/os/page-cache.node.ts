/** Leaves the page cache to others, for those who read or write much and once. */
import { libc } from './libc.node.ts';

const POSIX_FADV_DONTNEED = 4;

/**
 * Drops pages of a range that are on disk already; nothing happens to others, nor where the system
 * cannot do it. @param length 0 for all that follows
 */
export function dropCached(fd: number, offset: number, length: number): void {
  libc()?.posix_fadvise?.(fd, offset, length, POSIX_FADV_DONTNEED);
}
