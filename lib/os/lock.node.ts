/**
 * Advisory locks on open files, which end with the process at the latest. Used by updates in place and
 * by names of block devices.
 */
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;
const { errno } = constants;

/**
 * Takes the lock of a file for as long as `fd` is open.
 * @param kind who has a shared lock keeps others only from exclusive ones
 * @returns false if somebody else has it; true also where the system has no locks
 * @throws PipelineError without subject
 */
export function tryLock(fd: number, kind: 'exclusive' | 'shared' = 'exclusive'): boolean {
  const c = libc();
  const operation = kind === 'shared' ? LOCK_SHARED : LOCK_EXCLUSIVE;
  if (c === undefined || c.flock(fd, operation | LOCK_NONBLOCKING) === 0) return true;
  const failure = lastErrno();
  if (failure === errno.EWOULDBLOCK || failure === errno.EAGAIN) return false;
  if (failure === errno.ENOLCK || failure === errno.EOPNOTSUPP || failure === errno.EINVAL)
    return true;
  throw systemFailure('lock', failure);
}
