/** Opens entries of held directories without following links, and tells mounts apart. For the walk. */
import { constants, openSync, readFileSync } from 'node:fs';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { entryPath } from './target.node.ts';

const O_CLOEXEC = 0o2000000;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens the file or directory `name` of an open directory for reading. A symbolic link is refused;
 * opening does not block, whatever has taken the name meanwhile.
 * @param keepAccessTime try not to change the access time, which only the owner and root may ask for.
 * @returns a descriptor that the caller closes.
 * @throws PipelineError without subject
 */
export function openEntry(directory: number, name: Uint8Array, keepAccessTime: boolean): number {
  if (keepAccessTime) {
    const fd = attempt(directory, name, FLAGS | constants.O_NOATIME);
    if (fd !== undefined) return fd;
  }
  const fd = attempt(directory, name, FLAGS);
  if (fd === undefined) throw systemFailure('open', 'EPERM');
  return fd;
}

/** Undefined if the flags are not permitted. */
function attempt(directory: number, name: Uint8Array, flags: number): number | undefined {
  const c = libc();
  if (c === undefined) return attemptWithNode(directory, name, flags);
  const fd = c.openat(directory, terminated(name), flags | O_CLOEXEC, 'uint32_t', 0);
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

/** Number of the mount through which `fd` was opened, or undefined where /proc does not say. */
export function mountIdOf(fd: number): number | undefined {
  try {
    const line = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}
