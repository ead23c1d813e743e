/**
 * System calls of the confined directory that look at how they failed. Used by nothing else.
 */
import { chmodSync, closeSync, constants, fchmodSync, openSync, statfsSync } from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { PipelineError } from '../errors.ts';
import { makeDirectoryAt, type Outcome, openAt } from '../os/at.node.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { createSubvolume, getInodeFlags, setInodeFlags } from '../os/inode-flags.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { descriptorPath } from '../os/target.node.ts';

/** Opens a file for its attributes only: neither reads it nor follows it. */
export const O_PATH = 0o10000000;
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Error numbers, positive. */
export const ERRNO = systemConstants.errno;

const PROC_TYPE = 0x9fa0;
const APPEND_AND_IMMUTABLE = 0x30;

/**
 * Clears the chattr flags that forbid changes.
 * @returns whether any was set
 * @throws PipelineError `DENIED` if one is set and `undo` is false
 */
export function clearProtection(fd: number, undo: boolean): boolean {
  const flags = getInodeFlags(fd) ?? 0;
  if ((flags & APPEND_AND_IMMUTABLE) === 0) return false;
  if (undo) {
    setInodeFlags(fd, APPEND_AND_IMMUTABLE, 0);
    return true;
  }
  const reason = 'it is immutable or append-only (--undo-immutable=yes clears that)';
  throw new PipelineError('DENIED', { step: 'replace', reason });
}

/**
 * Opens a directory, one that its owner must not read, too; links are not followed.
 * @returns undefined if something else or nothing is there
 */
export function openIfDirectory(directory: number, name: Uint8Array): number | undefined {
  const fd = openAt(directory, name, OPEN_DIRECTORY);
  if (fd >= 0) return fd;
  if (fd === -ERRNO.ENOENT || fd === -ERRNO.ENOTDIR || fd === -ERRNO.ELOOP) return undefined;
  if (fd !== -ERRNO.EACCES) throw systemFailure('open directory', -fd);
  const flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  const holder = needed('open directory', openAt(directory, name, flags));
  try {
    const self = descriptorPath(holder);
    const { mode } = statDescriptor(holder);
    run('open directory', () => chmodSync(self, (mode & 0o7777) | 0o700));
    return run('open directory', () => openSync(self, O_RDONLY | O_DIRECTORY));
  } finally {
    closeSync(holder);
  }
}

/** Lets an ordinary owner work in a directory that he may not write to. */
export function unlock(fd: number): void {
  const self = process.geteuid?.() ?? 0;
  if (self === 0) return;
  const { mode, uid } = statDescriptor(fd);
  if (uid === self && (mode & 0o700) !== 0o700) fchmodSync(fd, (mode & 0o7777) | 0o700);
}

/** @throws PipelineError `UNSAFE_TARGET` where descriptors have no paths */
export function requireProc(): void {
  let type: number | undefined;
  try {
    type = statfsSync('/proc/self/fd').type;
  } catch {
    // Not there at all.
  }
  if (type === PROC_TYPE) return;
  const reason = '/proc is not mounted; without it links could lead outside of the target';
  throw new PipelineError('UNSAFE_TARGET', { step: 'open directory', reason });
}

/** @throws PipelineError without subject instead of what node:fs throws */
export function run<T>(step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw systemFailure(step, error);
  }
}

/** The result of a call that must succeed. @throws PipelineError without subject */
export function needed(step: string, outcome: Outcome): number {
  if (outcome >= 0) return outcome;
  throw systemFailure(step, -outcome);
}

/** Opens an entry, whatever it is, for its attributes only. @returns undefined if nothing is there */
export function openIfPresent(directory: number, name: Uint8Array): number | undefined {
  const fd = openAt(directory, name, O_PATH | O_NOFOLLOW);
  if (fd >= 0) return fd;
  if (fd === -ERRNO.ENOENT) return undefined;
  throw systemFailure('open', -fd);
}

/** How a directory that is not there yet is made. */
export interface DirectoryCreation {
  /** Permission bits; the umask applies. */
  readonly permissions: number;
  readonly asSubvolume?: boolean;
  /** There may be one already, so that it is looked for first. */
  readonly mayExist?: boolean;
}

/** Makes a directory, or a subvolume. @returns false if something is there */
export function makeDirectory(
  parent: number,
  name: Uint8Array,
  { permissions, asSubvolume = false }: DirectoryCreation,
): boolean {
  if (asSubvolume) return makeSubvolume(parent, name);
  const outcome = makeDirectoryAt(parent, name, permissions);
  if (outcome >= 0) return true;
  if (outcome === -ERRNO.EEXIST) return false;
  throw systemFailure('create directory', -outcome);
}

function makeSubvolume(parent: number, name: Uint8Array): boolean {
  try {
    createSubvolume(parent, name);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}
