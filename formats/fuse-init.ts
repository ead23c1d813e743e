/**
 * The first request of the FUSE protocol, INIT, and its answer: versions, flags and sizes that both
 * sides use from then on. Used by the server of mounted file systems.
 */
import { readU32, writeU32 } from './bytes.ts';
import { FUSE_MAJOR, FUSE_MINOR, FuseFlag } from './fuse-protocol.ts';
import { FUSE_REQUEST_HEADER_SIZE, type FuseRequest } from './fuse-requests.ts';

/** What a kernel says of itself. */
export interface FuseOffer {
  readonly major: number;
  readonly minor: number;
  /** Bits of {@link FuseFlag}, and many others. */
  readonly flags: number;
}

/** How a server wants to be asked. */
export interface FuseTerms {
  readonly flags: number;
  /** Requests that nobody waits for directly, such as read-ahead, at a time. */
  readonly backgroundRequests: number;
  /** From how many of them on the kernel takes the file system for busy. */
  readonly busyRequests: number;
  /** Bytes of a READ at most, where the kernel lets us say so. */
  readonly readBytes: number;
}

export const FUSE_INIT_ANSWER_SIZE = 64;

const PAGE_BYTES = 4096;
/** Writes are refused; this is the least that may be said, and the device wants memory for so much. */
const MAX_WRITE = 4096;
/** Cut down by the kernel to what it does. */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;
/** Times are exact to the nanosecond. */
const TIME_GRANULARITY_NS = 1;

export function parseInit(request: FuseRequest): FuseOffer | undefined {
  const { bytes, length } = request;
  const at = FUSE_REQUEST_HEADER_SIZE;
  if (length < at + 8) return undefined;
  const major = readU32(bytes, at);
  const isWhole = length >= at + 16;
  // A kernel of another generation sends fields that are not known here.
  if (major === FUSE_MAJOR && !isWhole) return undefined;
  return {
    major,
    minor: readU32(bytes, at + 4),
    flags: isWhole ? readU32(bytes, at + 12) : 0,
  };
}

/**
 * Writes the answer at `at`, {@link FUSE_INIT_ANSWER_SIZE} bytes. Of the flags only those are set
 * that the kernel offered.
 */
export function writeInit(out: Uint8Array, at: number, offer: FuseOffer, terms: FuseTerms): void {
  out.fill(0, at, at + FUSE_INIT_ANSWER_SIZE);
  writeU32(out, at, FUSE_MAJOR);
  writeU32(out, at + 4, FUSE_MINOR);
  writeU32(out, at + 8, READ_AHEAD_BYTES);
  writeU32(out, at + 12, offer.flags & terms.flags);
  writeU32(out, at + 16, (terms.busyRequests << 16) | terms.backgroundRequests);
  writeU32(out, at + 20, MAX_WRITE);
  writeU32(out, at + 24, TIME_GRANULARITY_NS);
  writeU32(out, at + 28, offer.flags & FuseFlag.MAX_PAGES ? terms.readBytes / PAGE_BYTES : 0);
}
