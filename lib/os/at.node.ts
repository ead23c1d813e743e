/**
 * System calls on one name in a directory that is held open, so that nobody can lead them elsewhere.
 * They tell failures by number instead of throwing, because extraction expects some of them. Through
 * the C library; without koffi through the path of the directory in /proc (spec/decisions/0003).
 */
import {
  lchownSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { constants } from 'node:os';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { descriptorPath, entryPath } from './target.node.ts';

/** Zero or a descriptor; an error number with a minus sign on failure. */
export type Outcome = number;

const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_FDCWD = -100;

/**
 * Opens or creates `name`.
 * @param flags as of open(2). @param permissions of what is created; the umask applies.
 * @returns a descriptor that the caller closes
 */
export function openAt(
  directory: number,
  name: Uint8Array,
  flags: number,
  permissions = 0,
): Outcome {
  const c = libc();
  if (c === undefined) return tried(() => openSync(entryPath(directory, name), flags, permissions));
  const all = flags | O_CLOEXEC;
  return outcome(c.openat(directory, terminated(name), all, 'uint32_t', permissions));
}

/** @param permissions the umask applies. */
export function makeDirectoryAt(directory: number, name: Uint8Array, permissions: number): Outcome {
  const c = libc();
  if (c === undefined) return tried(() => mkdirSync(entryPath(directory, name), permissions));
  return outcome(c.mkdirat(directory, terminated(name), permissions));
}

/** @param target bytes of any content but NUL. */
export function symlinkAt(directory: number, name: Uint8Array, target: Uint8Array): Outcome {
  const c = libc();
  if (c === undefined) {
    return tried(() => symlinkSync(Buffer.from(target), entryPath(directory, name)));
  }
  return outcome(c.symlinkat(terminated(target, 1), directory, terminated(name)));
}

/**
 * Gives an open file another name, which must be free. Not without koffi: Node links names only, and
 * another file may have taken them.
 */
export function linkAt(fd: number, directory: number, name: Uint8Array): Outcome {
  const c = libc();
  if (c === undefined) return -constants.errno.ENOSYS;
  const self = terminated(descriptorPath(fd));
  return outcome(c.linkat(AT_FDCWD, self, directory, terminated(name, 1), AT_SYMLINK_FOLLOW));
}

/** @param toDirectory where the new name is to be; the same directory if left out. */
export function renameAt(
  directory: number,
  from: Uint8Array,
  to: Uint8Array,
  toDirectory = directory,
): Outcome {
  const c = libc();
  if (c === undefined) {
    return tried(() => renameSync(entryPath(directory, from), entryPath(toDirectory, to)));
  }
  return outcome(c.renameat(directory, terminated(from), toDirectory, terminated(to, 1)));
}

/** Removes anything but a directory. */
export function unlinkAt(directory: number, name: Uint8Array): Outcome {
  const c = libc();
  if (c === undefined) return tried(() => unlinkSync(entryPath(directory, name)));
  return outcome(c.unlinkat(directory, terminated(name), 0));
}

/** Removes an empty directory. */
export function removeDirectoryAt(directory: number, name: Uint8Array): Outcome {
  const c = libc();
  if (c === undefined) return tried(() => rmdirSync(entryPath(directory, name)));
  return outcome(c.unlinkat(directory, terminated(name), AT_REMOVEDIR));
}

/** Sets the owner of an entry, also of a symbolic link itself. */
export function changeOwnerAt(
  directory: number,
  name: Uint8Array,
  uid: number,
  gid: number,
): Outcome {
  const c = libc();
  if (c === undefined) return tried(() => lchownSync(entryPath(directory, name), uid, gid));
  return outcome(c.fchownat(directory, terminated(name), uid, gid, AT_SYMLINK_NOFOLLOW));
}

function outcome(result: number): Outcome {
  return result < 0 ? -lastErrno() : result;
}

/** What node:fs throws, as a number. */
function tried(action: () => unknown): Outcome {
  try {
    const result = action();
    return typeof result === 'number' ? result : 0;
  } catch (error) {
    if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
      return error.errno;
    }
    throw error;
  }
}
