/**
 * Requests of the FUSE protocol, from bytes to fields: the header that all have, and what follows it.
 * Every function checks lengths; foreign bytes never make it throw. Used by the server of mounted
 * file systems.
 */
import { readSize, readU32, readU64 } from './bytes.ts';
import { FuseOpcode } from './fuse-protocol.ts';

export const FUSE_REQUEST_HEADER_SIZE = 40;

/** No request that we take is longer: what the kernel reads as the size of our memory. */
export const FUSE_LONGEST_REQUEST = 64 * 1024;

/** Most bytes that a READ or a listing may ask for; 32 times what old kernels do. */
const FUSE_MOST_BYTES_ASKED = 4 * 1024 * 1024;

const UNIQUE_AT = 8;
const INODE_AT = 16;
const NONE: readonly ForgottenInode[] = [];

/** Which request an answer is for; all 64 bits. */
export interface FuseUnique {
  readonly low: number;
  readonly high: number;
}

/** A request with its header taken apart. The bytes belong to whoever received them. */
export interface FuseRequest {
  readonly opcode: number;
  readonly unique: FuseUnique;
  /** `Infinity` where it is none of ours. */
  readonly inode: number;
  /** Header and body. */
  readonly bytes: Uint8Array;
  /** Of both, in bytes. */
  readonly length: number;
}

/**
 * @param length of the request in `bytes`, which may be longer
 * @returns undefined if it is not even a header, or says another length than it has
 */
export function parseFuseRequest(bytes: Uint8Array, length: number): FuseRequest | undefined {
  if (length < FUSE_REQUEST_HEADER_SIZE || readU32(bytes, 0) !== length) return undefined;
  return {
    opcode: readU32(bytes, 4),
    unique: { low: readU32(bytes, UNIQUE_AT), high: readU32(bytes, UNIQUE_AT + 4) },
    inode: readSize(bytes, INODE_AT),
    bytes,
    length,
  };
}

/** The same request in memory of its own. */
export function copyOfFuseRequest(request: FuseRequest): FuseRequest {
  return { ...request, bytes: copyOf(request.bytes, 0, request.length) };
}

/** Node's own kind of byte array has a `slice` that copies nothing. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes, start, end);
}

export function isSameUnique(a: FuseUnique, b: FuseUnique): boolean {
  return a.low === b.low && a.high === b.high;
}

function hasBody({ length }: FuseRequest, size: number): boolean {
  return length >= FUSE_REQUEST_HEADER_SIZE + size;
}

/**
 * A name that begins `at` bytes behind the header and is all of the rest, with the NUL at its end.
 * @returns a copy, undefined if there is no NUL or nothing before it
 */
export function parseName({ bytes, length }: FuseRequest, at = 0): Uint8Array | undefined {
  const start = FUSE_REQUEST_HEADER_SIZE + at;
  const end = length - 1;
  if (end <= start || bytes[end] !== 0) return undefined;
  const first = bytes.indexOf(0, start);
  return first === end ? copyOf(bytes, start, end) : undefined;
}

/** READ, READDIR and READDIRPLUS. */
export interface FuseReadRequest {
  /** Bytes in a file; where a listing goes on in a folder. */
  readonly offset: number;
  /** Most bytes of the answer. */
  readonly size: number;
}

export function parseRead(request: FuseRequest): FuseReadRequest | undefined {
  if (!hasBody(request, 40)) return undefined;
  const { bytes } = request;
  const offset = readSize(bytes, FUSE_REQUEST_HEADER_SIZE + 8);
  const size = readU32(bytes, FUSE_REQUEST_HEADER_SIZE + 16);
  if (!Number.isFinite(offset) || size > FUSE_MOST_BYTES_ASKED) return undefined;
  return { offset, size };
}

/** GETXATTR and LISTXATTR: room for the answer, 0 to ask for its size. */
export function parseAttributeRoom(request: FuseRequest): number | undefined {
  return hasBody(request, 8) ? readU32(request.bytes, FUSE_REQUEST_HEADER_SIZE) : undefined;
}

export function parseAttributeName(request: FuseRequest): Uint8Array | undefined {
  return hasBody(request, 8) ? parseName(request, 8) : undefined;
}

export interface FuseIoctlRequest {
  readonly command: number;
  /** Bytes that the answer must have. */
  readonly outSize: number;
}

export function parseIoctl(request: FuseRequest): FuseIoctlRequest | undefined {
  if (!hasBody(request, 32)) return undefined;
  const at = FUSE_REQUEST_HEADER_SIZE;
  return { command: readU32(request.bytes, at + 12), outSize: readU32(request.bytes, at + 28) };
}

export interface FuseSeekRequest {
  readonly offset: number;
  /** As lseek has it. */
  readonly whence: number;
}

export function parseSeek(request: FuseRequest): FuseSeekRequest | undefined {
  if (!hasBody(request, 24)) return undefined;
  const at = FUSE_REQUEST_HEADER_SIZE;
  const offset = readSize(request.bytes, at + 8);
  if (!Number.isFinite(offset)) return undefined;
  return { offset, whence: readU32(request.bytes, at + 16) };
}

/** Which request INTERRUPT is about. */
export function parseInterrupt(request: FuseRequest): FuseUnique | undefined {
  if (!hasBody(request, 8)) return undefined;
  const at = FUSE_REQUEST_HEADER_SIZE;
  return { low: readU32(request.bytes, at), high: readU32(request.bytes, at + 4) };
}

export interface ForgottenInode {
  readonly inode: number;
  /** How many answers that named it are taken back. */
  readonly count: number;
}

/** What FORGET and BATCH_FORGET say; no more than the request really has. */
export function parseForgotten(request: FuseRequest): readonly ForgottenInode[] {
  if (!hasBody(request, 8)) return NONE;
  const { bytes, opcode, inode, length } = request;
  const at = FUSE_REQUEST_HEADER_SIZE;
  if (opcode === FuseOpcode.FORGET) return [{ inode, count: forgetCount(bytes, at) }];
  const forgotten: ForgottenInode[] = [];
  const room = Math.floor((length - at - 8) / 16);
  const end = at + 8 + Math.min(readU32(bytes, at), room) * 16;
  for (let one = at + 8; one < end; one += 16) {
    forgotten.push({ inode: readSize(bytes, one), count: forgetCount(bytes, one + 8) });
  }
  return forgotten;
}

/** A count beyond all that can have been given out means all of it. */
function forgetCount(bytes: Uint8Array, at: number): number {
  return readU64(bytes, at) > BigInt(Number.MAX_SAFE_INTEGER)
    ? Number.MAX_SAFE_INTEGER
    : readSize(bytes, at);
}
