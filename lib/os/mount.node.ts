/**
 * Mounts of file systems that this process serves (FUSE): made, recognised among others and taken away.
 * Used by lib/api/mount.node.ts (spec/mount.md, "The command").
 */
import {
  closeSync,
  constants,
  mkdirSync,
  opendirSync,
  openSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isCasError } from '../../formats/errors.ts';
import { PipelineError } from '../errors.ts';
import { mountWithHelper, unmountWithHelper } from './fusermount.node.ts';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { type MountGuard, startMountGuard } from './mount-guard.node.ts';
import { findMount, type MountEntry, mountAt } from './mount-table.node.ts';
import { errnoOf, systemFailure } from './system-error.node.ts';

const DEVICE = '/dev/fuse';
const SUBTYPE = 'casync';
const FOLDER_MODE = constants.S_IFDIR;
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MNT_FORCE = 1;
const MNT_DETACH = 2;
/** What a process that may not mount by itself meets; the helper may be allowed to. */
const REFUSALS = new Set(['EPERM', 'EACCES', 'ENOENT', 'ENODEV', 'ENXIO']);

/** Steps of failures, for those who have words of their own for them. */
export const ESTABLISH = 'establish FUSE mount';
export const MAKE_FOLDER = 'create mount directory';

export interface FuseMountOptions {
  /** What the mount is called in the table of mounts; empty for what has no name. */
  readonly source: string;
  /** Whether a missing mount point is made. */
  readonly makeFolder: boolean;
}

export interface FuseMount {
  /** The open FUSE device; whoever serves the mount closes it. */
  readonly descriptor: number;
  /** Lets the kernel read more at a time than it does by default, where that is allowed. */
  raiseReadAhead(kib: number): void;
  /**
   * Takes the mount away, also if files are open in it or its server does not answer; nothing else
   * that is mounted there. To be called once, also if somebody else has unmounted it.
   * @throws PipelineError if it is still there
   */
  unmount(): Promise<void>;
}

/**
 * Mounts a FUSE file system read-only at a folder. It is unmounted even if this process is killed.
 * @throws PipelineError `establish FUSE mount` or `create mount directory` about the path
 */
export async function mountFuse(path: string, options: FuseMountOptions): Promise<FuseMount> {
  const guard = startMountGuard();
  try {
    if (options.makeFolder) makeFolder(path);
    const point = checkFolder(path);
    const descriptor = await connect(path, options.source || SUBTYPE);
    const entry = mountAt(point);
    if (entry !== undefined) guard.watch(entry);
    return createFuseMount({ descriptor, path, guard, ...(entry && { entry }) });
  } catch (error) {
    await guard.dismiss();
    throw error;
  }
}

interface Established {
  readonly descriptor: number;
  readonly path: string;
  readonly guard: MountGuard;
  readonly entry?: MountEntry;
}

function createFuseMount({ descriptor, path, guard, entry }: Established): FuseMount {
  return {
    descriptor,
    raiseReadAhead(kib) {
      if (entry === undefined) return;
      trySet(`/sys/class/bdi/${entry.device}/read_ahead_kb`, kib);
    },
    async unmount() {
      // Where this fails the guard stays, and tries when this process has ended.
      if (entry === undefined) await unmountPath(path, Buffer.from(path));
      else await unmountEntry(entry);
      await guard.dismiss();
    },
  };
}

async function unmountEntry(entry: MountEntry): Promise<void> {
  const found = findMount(entry);
  if (found === undefined) return;
  const [, connection] = entry.device.split(':');
  // Whoever waits for an answer gets none; without the rights to this, it ends with the server.
  trySet(`/sys/fs/fuse/connections/${connection}/abort`, 1);
  if (found.isCovered) return;
  const path = Buffer.from(found.point, 'latin1');
  try {
    await unmountPath(path.toString(), path);
  } catch (error) {
    if (findMount(entry) !== undefined) throw error;
  }
}

/** @param bytes the path as the system call takes it */
async function unmountPath(path: string, bytes: Uint8Array): Promise<void> {
  const result = libc()?.umount2(terminated(bytes), MNT_FORCE | MNT_DETACH) ?? -1;
  if (result >= 0) return;
  const failure = systemFailure('unmount', lastErrno(), path);
  if (!REFUSALS.has(errnoOf(failure) ?? '')) throw failure;
  try {
    await unmountWithHelper(path);
  } catch (error) {
    if (!isCasError(error)) throw error;
    throw new PipelineError('IO', { subject: path, step: 'unmount', reason: error.reason });
  }
}

function trySet(path: string, value: number): void {
  try {
    writeFileSync(path, `${value}\n`);
  } catch {
    return;
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    // Anything else is found out of what is there.
    if (errnoOf(error) !== 'EEXIST') throw systemFailure(MAKE_FOLDER, error, path);
  }
}

/** @returns the real path of an empty folder, one character for each byte */
function checkFolder(path: string): string {
  let problem: unknown;
  try {
    if (!statSync(path).isDirectory()) problem = 'ENOTDIR';
    else if (!isEmpty(path)) problem = 'ENOTEMPTY';
    else return realpathSync.native(path, { encoding: 'buffer' }).toString('latin1');
  } catch (error) {
    problem = error;
  }
  throw systemFailure(ESTABLISH, problem, path);
}

/** Whether nothing would be hidden. Of folders that may not be read nobody knows. */
function isEmpty(path: string): boolean {
  try {
    const folder = opendirSync(path);
    try {
      return folder.readSync() === null;
    } finally {
      folder.closeSync();
    }
  } catch (error) {
    if (errnoOf(error) === 'EACCES') return true;
    throw error;
  }
}

async function connect(path: string, source: string): Promise<number> {
  const isRoot = process.geteuid?.() === 0;
  const mounted = isRoot ? mountDirectly(path, source) : undefined;
  if (typeof mounted === 'number') return mounted;
  const more = isRoot ? ['allow_other'] : [];
  const options = ['ro', 'nosuid', 'nodev', 'default_permissions', ...more];
  try {
    return await mountWithHelper(path, { source, subtype: SUBTYPE, options });
  } catch (error) {
    if (!isCasError(error)) throw error;
    const { code, reason } = error;
    if (code !== 'UNSUPPORTED') {
      throw new PipelineError('DENIED', { subject: path, step: ESTABLISH, reason });
    }
    throw mounted ?? new PipelineError(code, { subject: path, step: ESTABLISH, reason });
  }
}

/** @returns the open device, or why this process must not mount. @throws PipelineError */
function mountDirectly(path: string, source: string): number | PipelineError {
  const c = libc();
  if (c === undefined) {
    const reason = 'the package koffi is not available';
    throw new PipelineError('UNSUPPORTED', { subject: path, step: ESTABLISH, reason });
  }
  let descriptor: number;
  try {
    descriptor = openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    return systemFailure(ESTABLISH, error, path);
  }
  const options = [
    ...[`fd=${descriptor}`, `rootmode=${FOLDER_MODE.toString(8)}`],
    ...[`user_id=${process.geteuid?.() ?? 0}`, `group_id=${process.getegid?.() ?? 0}`],
    ...['allow_other', 'default_permissions'],
  ].join(',');
  const texts = [source, path, `fuse.${SUBTYPE}`, options];
  const [from = null, to = null, type = null, data = null] = texts.map((text) =>
    Buffer.from(`${text}\0`),
  );
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (c.mount(from, to, type, flags, data) >= 0) return descriptor;
  const refusal = systemFailure(ESTABLISH, lastErrno(), path);
  closeSync(descriptor);
  if (REFUSALS.has(errnoOf(refusal) ?? '')) return refusal;
  throw refusal;
}
