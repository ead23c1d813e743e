/**
 * Attributes of files as the C library reports them, so that fakeroot and pseudo are seen, which
 * Node's own stat bypasses. Without koffi: node:fs. Used by the folder walk and by extraction.
 */
import { type BigIntStats, fstatSync, lstatSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { entryPath } from './target.node.ts';

export interface FileStat {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Length in bytes. */
  readonly size: number;
  /** Nanoseconds since 1970, negative before. */
  readonly mtimeNs: bigint;
  /** Nanoseconds since 1970 of the last change of content or attributes. */
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  /** Number of the file system; equal exactly for files on the same one. */
  readonly device: number;
  readonly linkCount: number;
  /** Of a device node; 0 for everything else. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly allocatedBytes: number;
  /** Number of the mount the path led through, where the kernel and koffi report it. */
  readonly mountId?: number;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID = 0x1000;
const ENOSYS = 38;
const STEP = 'read attributes';

// struct statx, in views of the width of its fields; reused by every call.
const memory = Buffer.from(new ArrayBuffer(256));
const words16 = new Uint16Array(memory.buffer);
const words32 = new Uint32Array(memory.buffer);
const words64 = new BigInt64Array(memory.buffer);

/**
 * Attributes of `path` itself, also where that is a symbolic link.
 * @throws PipelineError without subject
 */
export function statPath(path: Uint8Array): FileStat {
  return query(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, () => lstatSync(Buffer.from(path), BIG));
}

/** Attributes of the entry `name` of an open directory, links not followed. @throws PipelineError */
export function statEntry(directory: number, name: Uint8Array): FileStat {
  const fallback = () => lstatSync(entryPath(directory, name), BIG);
  return query(directory, name, AT_SYMLINK_NOFOLLOW, fallback);
}

/** Attributes of an open file. @throws PipelineError without subject */
export function statDescriptor(fd: number): FileStat {
  return query(fd, NO_PATH, AT_EMPTY_PATH, () => fstatSync(fd, BIG));
}

const BIG = { bigint: true } as const;
const NO_PATH = new Uint8Array(0);

function query(
  directory: number,
  path: Uint8Array,
  flags: number,
  fallback: () => BigIntStats,
): FileStat {
  const statx = libc()?.statx;
  if (statx !== undefined) {
    const mask = STATX_BASIC_STATS | STATX_MNT_ID;
    const all = flags | AT_NO_AUTOMOUNT;
    if (statx(directory, terminated(path), all, mask, memory) === 0) return fromStatx();
    const errno = lastErrno();
    if (errno !== ENOSYS) throw systemFailure(STEP, errno);
  }
  if (IS_INTERPOSED) throw needsNative();
  try {
    return fromNode(fallback());
  } catch (error) {
    throw systemFailure(STEP, error);
  }
}

/** fakeroot and pseudo answer for the C library only; node:fs would see other owners and modes. */
const IS_INTERPOSED =
  process.env.FAKEROOTKEY !== undefined || /fakeroot|pseudo/.test(process.env.LD_PRELOAD ?? '');

function needsNative(): PipelineError {
  const reason = 'under fakeroot and pseudo this needs the package koffi, which is not available';
  return new PipelineError('UNSUPPORTED', { step: STEP, reason });
}

function fromStatx(): FileStat {
  const stat = {
    mode: words16[14],
    uid: words32[5],
    gid: words32[6],
    size: Number(words64[5]),
    mtimeNs: words64[14] * 1_000_000_000n + BigInt(words32[30]),
    ctimeNs: words64[12] * 1_000_000_000n + BigInt(words32[26]),
    inode: BigInt.asUintN(64, words64[4]),
    device: deviceNumber(words32[34], words32[35]),
    linkCount: words32[4],
    rdevMajor: words32[32],
    rdevMinor: words32[33],
    allocatedBytes: Number(words64[6]) * 512,
  };
  return (words32[0] & STATX_MNT_ID) === 0 ? stat : { ...stat, mountId: Number(words64[18]) };
}

function fromNode(stats: BigIntStats): FileStat {
  return {
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    inode: stats.ino,
    device: deviceNumber(majorOf(stats.dev), minorOf(stats.dev)),
    linkCount: Number(stats.nlink),
    rdevMajor: majorOf(stats.rdev),
    rdevMinor: minorOf(stats.rdev),
    allocatedBytes: Number(stats.blocks) * 512,
  };
}

/** The kernel knows 12 bits of major and 20 bits of minor number. */
function deviceNumber(major: number, minor: number): number {
  return major * 2 ** 20 + minor;
}

function majorOf(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minorOf(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}
