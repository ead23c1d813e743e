/** Advisory locks on open files, which end with the process at the latest. Used by updates in place. */
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;
const { errno } = constants;

/**
 * Takes the exclusive lock of a file for as long as `fd` is open.
 * @returns false if somebody else has it; true also where the system has no locks
 * @throws PipelineError without subject
 */
export function tryLock(fd: number): boolean {
  const c = libc();
  if (c === undefined || c.flock(fd, LOCK_EXCLUSIVE | LOCK_NONBLOCKING) === 0) return true;
  const failure = lastErrno();
  if (failure === errno.EWOULDBLOCK || failure === errno.EAGAIN) return false;
  if (failure === errno.ENOLCK || failure === errno.EOPNOTSUPP || failure === errno.EINVAL)
    return true;
  throw systemFailure('lock', failure);
}
