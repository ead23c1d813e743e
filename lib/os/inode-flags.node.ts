/**
 * Flags that file systems keep outside the mode: chattr(1), FAT attributes, project ids of quotas,
 * btrfs subvolumes. Reading yields undefined where the file system or the lack of koffi does not
 * allow it; writing then throws. Used by the folder walk and by extraction.
 */
import { constants } from 'node:os';
import { PipelineError } from '../errors.ts';
import { check, lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const { errno } = constants;
/** What file systems answer that do not know a request. */
const UNKNOWN_REQUEST = new Set<number>([
  errno.ENOTTY,
  errno.EOPNOTSUPP,
  errno.ENOSYS,
  errno.EINVAL,
]);

const FAT_GET_ATTRIBUTES = 0x80047210;
const FAT_SET_ATTRIBUTES = 0x40047211;
const FS_GET_XATTR = 0x801c581f;
const FS_SET_XATTR = 0x401c5820;
const PROJECT_ID_WORD = 3;
const SUBVOLUME_GET_FLAGS = 0x80089419;
const SUBVOLUME_SET_FLAGS = 0x4008941a;
const SUBVOLUME_READ_ONLY = 2;
const SUBVOLUME_CREATE = 0x5000940e;
const BTRFS = 0x9123683e;
const SUBVOLUME_INODE = 256n;

const GET_VERSION = 0x80087601;
const GET_FLAGS = 0x80086601;
const SET_FLAGS = 0x40086602;

// Argument of the requests in 32-bit words; the largest is struct fsxattr with 28 bytes.
const words = new Uint32Array(8);
const memory = new Uint8Array(words.buffer);

/** Flags of chattr(1). @throws PipelineError without subject */
export function getInodeFlags(fd: number): number | undefined {
  return get(fd, GET_FLAGS, 0, 'read inode flags');
}

/** Sets those flags of chattr(1) that are in `mask` to `value`. @throws PipelineError */
export function setInodeFlags(fd: number, mask: number, value: number): void {
  const step = 'set inode flags';
  const old = needed(getInodeFlags(fd), step);
  const wanted = ((old & ~mask) | (value & mask)) >>> 0;
  if (wanted === old) return;
  words.fill(0);
  words[0] = wanted;
  request(fd, SET_FLAGS, step);
}

/**
 * Generation of an inode: another one when its number is used again. @throws PipelineError without
 * subject
 */
export function getGeneration(fd: number): number | undefined {
  return get(fd, GET_VERSION, 0, 'read inode generation');
}

/** FAT attributes. @throws PipelineError without subject */
export function getFatAttributes(fd: number): number | undefined {
  return get(fd, FAT_GET_ATTRIBUTES, 0, 'read FAT attributes');
}

/** Sets those FAT attributes that are in `mask` to `value`. @throws PipelineError */
export function setFatAttributes(fd: number, mask: number, value: number): void {
  const step = 'set FAT attributes';
  const old = needed(getFatAttributes(fd), step);
  const wanted = (old & ~mask) | (value & mask);
  if (wanted === old) return;
  words[0] = wanted;
  request(fd, FAT_SET_ATTRIBUTES, step);
}

/** Project id for quotas, 0 for none. @throws PipelineError without subject */
export function getProjectId(fd: number): number | undefined {
  return get(fd, FS_GET_XATTR, PROJECT_ID_WORD, 'read project id');
}

/** @throws PipelineError without subject; `UNSUPPORTED` if the file system knows no projects */
export function setProjectId(fd: number, id: number): void {
  const step = 'set project id';
  if (needed(getProjectId(fd), step) === id) return;
  // The other words still hold what was just read.
  words[PROJECT_ID_WORD] = id;
  request(fd, FS_SET_XATTR, step);
}

const EXTENDED_FLAGS_WORD = 0;
const COPIED_AT_ONCE_WORD = 4;
/** FS_XFLAG_COWEXTSIZE of linux/fs.h. */
const HAS_COPIED_AT_ONCE = 0x10000;

/**
 * How much of a shared file is copied when a part of it is written, on file systems that ask for that
 * (xfs, 128 KiB by default).
 * @param length in bytes, a multiple of the block size; 0 for the default
 * @returns false where there is no such thing
 */
export function setCopiedAtOnce(fd: number, length: number): boolean {
  words.fill(0);
  if (failureOf(fd, FS_GET_XATTR, memory) !== 0) return false;
  const flags = words[EXTENDED_FLAGS_WORD];
  words[EXTENDED_FLAGS_WORD] =
    length === 0 ? flags & ~HAS_COPIED_AT_ONCE : flags | HAS_COPIED_AT_ONCE;
  words[COPIED_AT_ONCE_WORD] = length;
  return failureOf(fd, FS_SET_XATTR, memory) === 0;
}

/** Whether a directory is the top of a btrfs subvolume. */
export function isSubvolume(fileSystemType: number, inode: bigint): boolean {
  return fileSystemType === BTRFS && inode === SUBVOLUME_INODE;
}

/** Whether a subvolume is read-only. @throws PipelineError without subject */
export function isSubvolumeReadOnly(fd: number): boolean {
  return (
    ((get(fd, SUBVOLUME_GET_FLAGS, 0, 'read subvolume flags') ?? 0) & SUBVOLUME_READ_ONLY) !== 0
  );
}

/** @throws PipelineError without subject */
export function setSubvolumeReadOnly(fd: number, readOnly: boolean): void {
  const step = 'set subvolume flags';
  const old = needed(get(fd, SUBVOLUME_GET_FLAGS, 0, step), step);
  words[0] = readOnly ? old | SUBVOLUME_READ_ONLY : old & ~SUBVOLUME_READ_ONLY;
  request(fd, SUBVOLUME_SET_FLAGS, step);
}

/**
 * Makes a btrfs subvolume.
 * @param directory descriptor of the directory it is to be in.
 * @param name one name, at most 255 bytes.
 * @throws PipelineError without subject; `UNSUPPORTED` on other file systems and without koffi
 */
export function createSubvolume(directory: number, name: Uint8Array): void {
  const argument = Buffer.alloc(4096);
  argument.set(name, 8);
  const step = 'create subvolume';
  const failure = failureOf(directory, SUBVOLUME_CREATE, argument);
  if (failure === 0) return;
  if (UNKNOWN_REQUEST.has(failure)) throw unsupported(step);
  throw systemFailure(step, failure);
}

function get(fd: number, number: number, word: number, step: string): number | undefined {
  words.fill(0);
  const failure = failureOf(fd, number, memory);
  if (failure === 0) return words[word];
  if (UNKNOWN_REQUEST.has(failure)) return undefined;
  throw systemFailure(step, failure);
}

/** 0 or an error number. */
function failureOf(fd: number, number: number, argument: Uint8Array): number {
  const c = libc();
  if (c === undefined) return errno.ENOSYS;
  return c.ioctl(fd, number, 'void *', argument) < 0 ? lastErrno() : 0;
}

function request(fd: number, number: number, step: string): void {
  const c = libc();
  if (c !== undefined) check(c.ioctl(fd, number, 'void *', memory), step);
}

function needed(value: number | undefined, step: string): number {
  if (value !== undefined) return value;
  throw unsupported(step);
}

function unsupported(step: string): PipelineError {
  const reason = libc() === undefined ? 'this needs koffi' : 'the file system has no such thing';
  return new PipelineError('UNSUPPORTED', { step, reason });
}
