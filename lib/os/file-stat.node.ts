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
  /** Last change of the content: seconds since 1970, negative before, and nanoseconds above them. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** The same in nanoseconds; computed on demand. */
  readonly mtimeNs: bigint;
  /** Last change of content or attributes, likewise. */
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly ctimeNs: bigint;
  /** Inode number in halves of 32 bits. */
  readonly inodeLow: number;
  readonly inodeHigh: number;
  /** The same as one; computed on demand. */
  readonly inode: bigint;
  /** Number of the file system; equal exactly for files on the same one. */
  readonly device: number;
  readonly linkCount: number;
  /** Of a device node; 0 for everything else. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly allocatedBytes: number;
  /** Number of the mount the path led through, where the kernel and koffi report it. */
  readonly mountId: number | undefined;
  /** Whether no other mount ever has that number while the machine runs. */
  readonly isMountIdUnique: boolean;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID = 0x1000;
/** Asks newer kernels for another number in the same place. */
const STATX_MNT_ID_UNIQUE = 0x4000;
const ENOSYS = 38;
const SECOND_NS = 1_000_000_000n;
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

/** Whether a file has been changed between two looks at it. */
export function hasChanged(before: FileStat, after: FileStat): boolean {
  return (
    before.mtimeNanoseconds !== after.mtimeNanoseconds ||
    before.ctimeNanoseconds !== after.ctimeNanoseconds ||
    before.mtimeSeconds !== after.mtimeSeconds ||
    before.ctimeSeconds !== after.ctimeSeconds ||
    before.size !== after.size
  );
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
    const mask = STATX_BASIC_STATS | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
    const all = flags | AT_NO_AUTOMOUNT;
    if (statx(directory, terminated(path), all, mask, memory) === 0) return new Attributes();
    const errno = lastErrno();
    if (errno !== ENOSYS) throw systemFailure(STEP, errno);
  }
  if (IS_INTERPOSED) throw needsNative();
  try {
    fillFrom(fallback());
  } catch (error) {
    throw systemFailure(STEP, error);
  }
  return new Attributes();
}

/** fakeroot and pseudo answer for the C library only; node:fs would see other owners and modes. */
const IS_INTERPOSED =
  process.env.FAKEROOTKEY !== undefined || /fakeroot|pseudo/.test(process.env.LD_PRELOAD ?? '');

function needsNative(): PipelineError {
  const reason = 'under fakeroot and pseudo this needs the package koffi, which is not available';
  return new PipelineError('UNSUPPORTED', { step: STEP, reason });
}

/** A walk makes two of these per file, so big integers are made only for those who ask. */
class Attributes implements FileStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly inodeLow: number;
  readonly inodeHigh: number;
  readonly device: number;
  readonly linkCount: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly allocatedBytes: number;
  readonly mountId: number | undefined;
  readonly isMountIdUnique: boolean;

  /** From the memory that statx filled. */
  constructor() {
    this.mode = words16[14];
    this.uid = words32[5];
    this.gid = words32[6];
    this.size = int64At(10);
    this.mtimeSeconds = int64At(28);
    this.mtimeNanoseconds = words32[30];
    this.ctimeSeconds = int64At(24);
    this.ctimeNanoseconds = words32[26];
    this.inodeLow = words32[8];
    this.inodeHigh = words32[9];
    this.device = deviceNumber(words32[34], words32[35]);
    this.linkCount = words32[4];
    this.rdevMajor = words32[32];
    this.rdevMinor = words32[33];
    this.allocatedBytes = int64At(12) * 512;
    const hasMountId = (words32[0] & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE)) !== 0;
    this.mountId = hasMountId ? int64At(36) : undefined;
    this.isMountIdUnique = (words32[0] & STATX_MNT_ID_UNIQUE) !== 0;
  }

  get mtimeNs(): bigint {
    return BigInt(this.mtimeSeconds) * SECOND_NS + BigInt(this.mtimeNanoseconds);
  }

  get ctimeNs(): bigint {
    return BigInt(this.ctimeSeconds) * SECOND_NS + BigInt(this.ctimeNanoseconds);
  }

  get inode(): bigint {
    return (BigInt(this.inodeHigh) << 32n) | BigInt(this.inodeLow);
  }
}

/** A signed number of 64 bits that begins at this 32-bit word; exact below 2^53. */
function int64At(word: number): number {
  return (words32[word + 1] | 0) * 2 ** 32 + words32[word];
}

/** Fills the memory as statx would have. */
function fillFrom(stats: BigIntStats): void {
  words32.fill(0);
  words16[14] = Number(stats.mode);
  words32[5] = Number(stats.uid);
  words32[6] = Number(stats.gid);
  words64[5] = stats.size;
  setTime(14, stats.mtimeNs);
  setTime(12, stats.ctimeNs);
  words64[4] = stats.ino;
  words32[34] = majorOf(stats.dev);
  words32[35] = minorOf(stats.dev);
  words32[4] = Number(stats.nlink);
  words32[32] = majorOf(stats.rdev);
  words32[33] = minorOf(stats.rdev);
  words64[6] = stats.blocks;
}

function setTime(word: number, timeNs: bigint): void {
  const nanoseconds = ((timeNs % SECOND_NS) + SECOND_NS) % SECOND_NS;
  words64[word] = (timeNs - nanoseconds) / SECOND_NS;
  words64[word + 1] = nanoseconds;
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
