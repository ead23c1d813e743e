/** Holes: ranges of a file that read as zeros and take no space. Used by extraction. */
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
