/** Sets modification times, exact to the nanosecond, links included. Used by extraction. */
import { fstatSync, lstatSync, lutimesSync, utimesSync } from 'node:fs';
import { check, lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { descriptorPath, type Target } from './target.node.ts';

const EBADF = 9;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffen;
const SECOND = 1_000_000_000n;
const STEP = 'set modification time';

// struct timespec [2]: access time (left alone), modification time
const times = new BigInt64Array(4);
const timesMemory = new Uint8Array(times.buffer);

/**
 * Sets the modification time and leaves the access time alone. Without koffi the time is rounded to
 * microseconds, because that is what node:fs can pass on.
 * @param target a descriptor, also one opened with O_PATH, or a path.
 * @param mtimeNs nanoseconds since 1970, negative before.
 * @throws PipelineError without subject
 */
export function setModificationTime(target: Target, mtimeNs: bigint): void {
  const c = libc();
  if (c === undefined) {
    setWithNode(target, Number(mtimeNs / 1000n) / 1e6);
    return;
  }
  const nanoseconds = ((mtimeNs % SECOND) + SECOND) % SECOND;
  times[1] = UTIME_OMIT;
  times[2] = (mtimeNs - nanoseconds) / SECOND;
  times[3] = nanoseconds;
  if (typeof target !== 'number') {
    check(c.utimensat(AT_FDCWD, terminated(target), timesMemory, AT_SYMLINK_NOFOLLOW), STEP);
    return;
  }
  if (c.futimens(target, timesMemory) === 0) return;
  const failure = lastErrno();
  // A descriptor opened with O_PATH: only its path in /proc is accepted.
  if (failure !== EBADF) throw systemFailure(STEP, failure);
  check(c.utimensat(AT_FDCWD, terminated(descriptorPath(target)), timesMemory, 0), STEP);
}

function setWithNode(target: Target, seconds: number): void {
  try {
    if (typeof target === 'number') {
      utimesSync(descriptorPath(target), fstatSync(target).atimeMs / 1000, seconds);
      return;
    }
    const path = Buffer.from(target);
    lutimesSync(path, lstatSync(path).atimeMs / 1000, seconds);
  } catch (error) {
    throw systemFailure(STEP, error);
  }
}
