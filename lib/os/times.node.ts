/** Sets modification times, exact to the nanosecond, links included. Used by extraction. */
import { fstatSync, lstatSync, lutimesSync, utimesSync } from 'node:fs';
import { check, lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { descriptorPath, entryPath, type Target } from './target.node.ts';

const EBADF = 9;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffe;
const TWO_POW_32 = 0x1_0000_0000;
const SECOND = 1_000_000_000n;
const STEP = 'set modification time';

// struct timespec [2] in words of 32 bits: access time (left alone), modification time
const times = new Uint32Array(8);
const timesMemory = new Uint8Array(times.buffer);
times[2] = UTIME_OMIT;

/** A time as the system takes it: whole seconds since 1970, negative before, and the rest. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** @param timeNs nanoseconds since 1970, negative before. */
export function fileTime(timeNs: bigint): FileTime {
  const nanoseconds = Number(((timeNs % SECOND) + SECOND) % SECOND);
  return { seconds: Number((timeNs - BigInt(nanoseconds)) / SECOND), nanoseconds };
}

/**
 * Sets the modification time and leaves the access time alone. Without koffi the time is rounded to
 * microseconds, because that is what node:fs can pass on.
 * @param target a descriptor, also one opened with O_PATH, or a path.
 * @throws PipelineError without subject
 */
export function setModificationTime(target: Target, time: FileTime): void {
  const c = libc();
  if (c === undefined) {
    setWithNode(target, time);
    return;
  }
  fill(time);
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

/**
 * Sets the modification time of the entry `name` of an open directory, also if that is a symbolic
 * link; otherwise like {@link setModificationTime}.
 */
export function setModificationTimeAt(directory: number, name: Uint8Array, time: FileTime): void {
  const c = libc();
  if (c === undefined) {
    setWithNode(entryPath(directory, name), time);
    return;
  }
  fill(time);
  check(c.utimensat(directory, terminated(name), timesMemory, AT_SYMLINK_NOFOLLOW), STEP);
}

function fill({ seconds, nanoseconds }: FileTime): void {
  times[4] = seconds;
  times[5] = Math.floor(seconds / TWO_POW_32);
  times[6] = nanoseconds;
}

function setWithNode(target: Target, { seconds, nanoseconds }: FileTime): void {
  const time = seconds + Math.floor(nanoseconds / 1000) / 1e6;
  try {
    if (typeof target === 'number') {
      utimesSync(descriptorPath(target), fstatSync(target).atimeMs / 1000, time);
      return;
    }
    const path = Buffer.from(target);
    lutimesSync(path, lstatSync(path).atimeMs / 1000, time);
  } catch (error) {
    throw systemFailure(STEP, error);
  }
}
