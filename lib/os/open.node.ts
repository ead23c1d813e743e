/** Opens entries of held directories without following links, and tells mounts apart. For the walk. */
import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { entryPath } from './target.node.ts';

const O_CLOEXEC = 0o2000000;
/** Bytes of a path that the system refuses. */
const LONGEST_PATH = 4000;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens the file or directory `name` of an open directory for reading. A symbolic link is refused;
 * opening does not block, whatever has taken the name meanwhile. The access time is not changed,
 * where we are the owner or root and so may ask for that.
 * @returns a descriptor for `closeEntry`.
 * @throws PipelineError without subject
 */
export function openEntry(directory: number, name: Uint8Array): number {
  const fd =
    attempt(directory, name, FLAGS | constants.O_NOATIME) ?? attempt(directory, name, FLAGS);
  if (fd === undefined) throw systemFailure('open', 'EPERM');
  return fd;
}

/**
 * The same for a path below an open directory, of any length. Links in the path are followed: whoever
 * opens by path looks at what he has got.
 * @param path not empty, without slashes at its ends
 */
export function openBelow(directory: number, path: Uint8Array): number {
  if (path.length < LONGEST_PATH) return openEntry(directory, path);
  const names = Buffer.from(path).toString('latin1').split('/');
  const last = names.pop() ?? '';
  let inner = directory;
  try {
    for (const name of names) {
      const outer = inner;
      inner = openEntry(outer, Buffer.from(name, 'latin1'));
      if (outer !== directory) closeEntry(outer);
    }
    return openEntry(inner, Buffer.from(last, 'latin1'));
  } finally {
    if (inner !== directory) closeEntry(inner);
  }
}

/** Closes what `openEntry` opened: by the way it was opened, as worker threads keep books. */
export function closeEntry(fd: number): void {
  const c = libc();
  if (c === undefined) closeSync(fd);
  else c.close(fd);
}

/** Undefined if the flags are not permitted. */
function attempt(directory: number, name: Uint8Array, flags: number): number | undefined {
  const c = libc();
  if (c === undefined) return attemptWithNode(directory, name, flags);
  const fd = c.openat(directory, terminated(name), flags | O_CLOEXEC);
  if (fd >= 0) return fd;
  const failure = systemFailure('open', lastErrno());
  if (isNotPermitted(failure.cause)) return undefined;
  throw failure;
}

function attemptWithNode(directory: number, name: Uint8Array, flags: number): number | undefined {
  try {
    return openSync(entryPath(directory, name), flags);
  } catch (error) {
    if (isNotPermitted(error)) return undefined;
    throw systemFailure('open', error);
  }
}

function isNotPermitted(error: unknown): boolean {
  return (error as { readonly code?: string }).code === 'EPERM';
}

const LONGEST_TARGET = 4096;
const target = Buffer.alloc(LONGEST_TARGET);

/** Target of the symbolic link `name` of an open directory, copied. @throws PipelineError */
export function readLinkEntry(directory: number, name: Uint8Array): Uint8Array {
  const step = 'read link';
  const c = libc();
  if (c !== undefined) {
    const length = c.readlinkat(directory, terminated(name), target, LONGEST_TARGET);
    if (length < 0) throw systemFailure(step, lastErrno());
    if (length < LONGEST_TARGET) return Uint8Array.from(target.subarray(0, length));
  }
  try {
    return readlinkSync(entryPath(directory, name), { encoding: 'buffer' });
  } catch (error) {
    throw systemFailure(step, error);
  }
}

/** Number of the mount through which `fd` was opened, or undefined where /proc does not say. */
export function mountIdOf(fd: number): number | undefined {
  try {
    const line = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}
