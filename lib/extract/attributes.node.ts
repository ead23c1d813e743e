/**
 * Owner, permissions and time, which every extracted object has: setting the first, and looking
 * whether the file system has kept all of them (spec/formats/extraction.md, "Tree").
 */
import { FEATURE } from '../../formats/feature-flags.ts';
import type { FileStat } from '../os/file-stat.node.ts';
import { nativeAvailable } from '../os/libc.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { FileTime } from '../os/times.node.ts';
import { notKept, withFeature } from './feature-failure.ts';
import type { Owner } from './owner.node.ts';

/** What an object shall have; undefined where that is not restored. */
export interface Attributes {
  readonly owner: Owner | undefined;
  /** Lower twelve bits of the mode. */
  readonly permissions: number | undefined;
  readonly time: FileTime | undefined;
}

export const PERMISSIONS = 0o7777;
export const WRITE_BITS = 0o222;
const OWNER_FEATURES = FEATURE.uids16 | FEATURE.uids32 | FEATURE.userNames;
const TIME_FEATURES = FEATURE.timeNsec | FEATURE.timeUsec | FEATURE.timeSec | FEATURE.time2Sec;

/** Without koffi times have whole microseconds, give or take what a floating point number loses. */
const INEXACTNESS_NS = 2000;

/** @param set sets the owner, by whatever call. @throws PipelineError without subject */
export function settingOwner(set: () => void): void {
  withFeature(OWNER_FEATURES, () => {
    try {
      set();
    } catch (error) {
      throw systemFailure('set owner', error);
    }
  });
}

/** @param set sets the mode, by whatever call. @throws PipelineError without subject */
export function settingMode(set: () => void): void {
  withFeature(FEATURE.permissions, () => {
    try {
      set();
    } catch (error) {
      throw systemFailure('set mode', error);
    }
  });
}

/**
 * A file system that takes a value it cannot keep says nothing: look what has become of it.
 * @throws PipelineError `UNSUPPORTED` without subject
 */
export function checkKept(now: FileStat, { owner, permissions, time }: Attributes): void {
  if (!hasOwner(now, owner)) {
    throw notKept(OWNER_FEATURES, 'set owner', `owner ${owner?.uid}:${owner?.gid}`);
  }
  if (!hasPermissions(now, permissions)) {
    const features = FEATURE.permissions | FEATURE.acl;
    throw notKept(features, 'set mode', `mode ${permissions?.toString(8)}`);
  }
  if (time === undefined || hasTime(now, time)) return;
  const text = `${time.seconds}.${String(time.nanoseconds).padStart(9, '0')} seconds since 1970`;
  throw notKept(TIME_FEATURES, 'set modification time', `the time ${text}`);
}

export function hasOwner(now: FileStat, owner: Owner | undefined): boolean {
  return owner === undefined || (now.uid === owner.uid && now.gid === owner.gid);
}

export function hasPermissions(now: FileStat, permissions: number | undefined): boolean {
  return permissions === undefined || (now.mode & PERMISSIONS) === permissions;
}

export function hasTime(now: FileStat, { seconds, nanoseconds }: FileTime): boolean {
  const difference = (now.mtimeSeconds - seconds) * 1e9 + now.mtimeNanoseconds - nanoseconds;
  return difference === 0 || (!nativeAvailable() && Math.abs(difference) < INEXACTNESS_NS);
}
