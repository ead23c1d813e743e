/**
 * Answers of the FUSE protocol, from fields to bytes. All functions write into memory of the caller
 * and none allocates: there may be many thousands of answers a second. Used by the server of mounted
 * file systems.
 */
import { writeU32, writeU64 } from './bytes.ts';
import type { FuseUnique } from './fuse-requests.ts';

export const FUSE_ANSWER_HEADER_SIZE = 16;
const FUSE_ATTRIBUTES_SIZE = 88;
/** Of an answer to LOOKUP. */
export const FUSE_ENTRY_SIZE = 40 + FUSE_ATTRIBUTES_SIZE;
/** Of an answer to GETATTR. */
export const FUSE_GETATTR_SIZE = 16 + FUSE_ATTRIBUTES_SIZE;
export const FUSE_STATFS_SIZE = 80;
export const FUSE_OPEN_SIZE = 16;
export const FUSE_XATTR_SIZE = 8;
export const FUSE_IOCTL_SIZE = 16;
export const FUSE_SEEK_SIZE = 8;

/** Nothing ever changes: the kernel may keep what it was told for 68 years. */
const VALID_SECONDS = 0x7fff_ffff;
const BLOCK_BYTES = 4096;
const STAT_BLOCK_BYTES = 512;
/** Of a name in a folder, in bytes. */
export const LONGEST_NAME = 255;
const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const NS_PER_SECOND = 1_000_000_000;
const TWO_POW_32 = 0x1_0000_0000;

/** What stat tells, as far as the protocol has it. */
export interface FuseAttributes {
  readonly inode: number;
  readonly mode: number;
  readonly linkCount: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * Writes the header at 0.
 * @param length of the whole answer in bytes
 * @param errno 0 for success
 */
export function writeAnswerHeader(
  out: Uint8Array,
  unique: FuseUnique,
  length: number,
  errno = 0,
): void {
  writeU32(out, 0, length);
  writeU32(out, 4, -errno);
  writeU32(out, 8, unique.low);
  writeU32(out, 12, unique.high);
}

/** Writes what LOOKUP answers. @param attributes undefined: there is no such name, and never will be */
export function writeEntry(
  out: Uint8Array,
  at: number,
  attributes: FuseAttributes | undefined,
): void {
  writeU64(out, at, attributes === undefined ? 0 : attributes.inode);
  writeU64(out, at + 8, 0);
  writeU64(out, at + 16, VALID_SECONDS);
  writeU64(out, at + 24, VALID_SECONDS);
  writeU64(out, at + 32, 0);
  if (attributes === undefined) out.fill(0, at + 40, at + FUSE_ENTRY_SIZE);
  else writeAttributes(out, at + 40, attributes);
}

/** Writes what GETATTR answers. */
export function writeGetattr(out: Uint8Array, at: number, attributes: FuseAttributes): void {
  writeU64(out, at, VALID_SECONDS);
  writeU64(out, at + 8, 0);
  writeAttributes(out, at + 16, attributes);
}

const clock = new BigInt64Array(1);
const clockWords = new Int32Array(clock.buffer);

function writeAttributes(out: Uint8Array, at: number, attributes: FuseAttributes): void {
  const { mode, size, device } = attributes;
  // Exact without arithmetic on bigints: seconds may be one off, nanoseconds modulo 2^32 tell.
  clock[0] = attributes.modifiedNs;
  const low = clockWords[0] >>> 0;
  let seconds = Math.floor((clockWords[1] * TWO_POW_32 + low) / NS_PER_SECOND);
  let nanoseconds = (low - Math.imul(seconds % TWO_POW_32, NS_PER_SECOND)) | 0;
  if (nanoseconds < 0) {
    seconds -= 1;
    nanoseconds += NS_PER_SECOND;
  } else if (nanoseconds >= NS_PER_SECOND) {
    seconds += 1;
    nanoseconds -= NS_PER_SECOND;
  }
  writeU64(out, at, attributes.inode);
  writeU64(out, at + 8, size);
  const occupied = (mode & TYPE_MASK) === REGULAR ? Math.ceil(size / STAT_BLOCK_BYTES) : 0;
  writeU64(out, at + 16, occupied);
  for (let time = 0; time < 3; time++) {
    writeU64(out, at + 24 + 8 * time, seconds);
    writeU32(out, at + 48 + 4 * time, nanoseconds);
  }
  writeU32(out, at + 60, mode);
  writeU32(out, at + 64, attributes.linkCount);
  writeU32(out, at + 68, attributes.uid);
  writeU32(out, at + 72, attributes.gid);
  writeU32(out, at + 76, device === undefined ? 0 : deviceNumber(device.major, device.minor));
  writeU32(out, at + 80, BLOCK_BYTES);
  writeU32(out, at + 84, 0);
}

/** 12 bits of major number, 20 bits of minor number, as the kernel packs them. */
function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12);
}

/** @param size of all that there is, in bytes */
export function writeStatfs(out: Uint8Array, at: number, size: number): void {
  out.fill(0, at, at + FUSE_STATFS_SIZE);
  writeU64(out, at, Math.ceil(size / BLOCK_BYTES));
  writeU32(out, at + 40, BLOCK_BYTES);
  writeU32(out, at + 44, LONGEST_NAME);
  writeU32(out, at + 48, BLOCK_BYTES);
}

/** Writes what OPEN and OPENDIR answer. @param flags of FuseOpenFlag */
export function writeOpen(out: Uint8Array, at: number, flags: number): void {
  writeU64(out, at, 0);
  writeU32(out, at + 8, flags);
  writeU32(out, at + 12, 0);
}

/** Writes how long the value of an attribute, or all their names, are. */
export function writeXattrSize(out: Uint8Array, at: number, size: number): void {
  writeU32(out, at, size);
  writeU32(out, at + 4, 0);
}

/** Writes the success of an ioctl; its result follows. */
export function writeIoctl(out: Uint8Array, at: number): void {
  out.fill(0, at, at + FUSE_IOCTL_SIZE);
}

export function writeSeek(out: Uint8Array, at: number, offset: number): void {
  writeU64(out, at, offset);
}
