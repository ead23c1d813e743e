/** Sets modification times, exact to the nanosecond, links included. Used by extraction. */
import { fstatSync, futimesSync, lstatSync, lutimesSync } from 'node:fs';
import { check, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import type { Target } from './target.node.ts';

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
 * @param target a descriptor opened for reading or writing (not O_PATH), or a path.
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
  const result =
    typeof target === 'number'
      ? c.futimens(target, timesMemory)
      : c.utimensat(AT_FDCWD, terminated(target), timesMemory, AT_SYMLINK_NOFOLLOW);
  check(result, STEP);
}

function setWithNode(target: Target, seconds: number): void {
  try {
    if (typeof target === 'number') {
      futimesSync(target, fstatSync(target).atimeMs / 1000, seconds);
      return;
    }
    const path = Buffer.from(target);
    lutimesSync(path, lstatSync(path).atimeMs / 1000, seconds);
  } catch (error) {
    throw systemFailure(STEP, error);
  }
}
