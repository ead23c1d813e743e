/** Holes: ranges of a file that read as zeros and take no space. Used by `make` and by extraction. */
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const KEEP_SIZE_AND_PUNCH = 3;
const { errno } = constants;
const UNSUPPORTED = new Set<number>([errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]);

/**
 * Turns a range into a hole and leaves the file size alone.
 * @returns false where that is not supported; write zeros then.
 * @throws PipelineError without subject
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  const fallocate = libc()?.fallocate;
  if (fallocate === undefined) return false;
  if (fallocate(fd, KEEP_SIZE_AND_PUNCH, offset, length) === 0) return true;
  const failure = lastErrno();
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('punch hole', failure);
}

const SEEK_DATA = 3;

/**
 * Offset of the first byte at or behind `offset` that is not in a hole; `offset` itself where the
 * system cannot tell. Moves the position of the descriptor.
 * @returns undefined if only a hole follows
 */
export function nextData(fd: number, offset: number): number | undefined {
  const lseek = libc()?.lseek;
  if (lseek === undefined) return offset;
  const found = lseek(fd, offset, SEEK_DATA);
  if (found >= 0) return Math.max(found, offset);
  return lastErrno() === errno.ENXIO ? undefined : offset;
}

const SEEK_HOLE = 4;

/**
 * Offset of the first byte at or behind `offset` that is in a hole, or of the end of the file, which
 * is taken for one; undefined where the system cannot tell. Moves the position of the descriptor.
 */
export function nextHole(fd: number, offset: number): number | undefined {
  const lseek = libc()?.lseek;
  if (lseek === undefined) return undefined;
  const found = lseek(fd, offset, SEEK_HOLE);
  return found >= 0 ? Math.max(found, offset) : undefined;
}
