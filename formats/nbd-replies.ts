/** Answers to NBD requests, byte by byte (spec/nbd.md, "Protocol"). Used by the NBD server. */
import { writeSizeBe, writeU16Be, writeU32Be } from './big-endian.ts';
import { NBD_CHUNK, NBD_CHUNK_DONE, NBD_LIMIT, NBD_MAGIC, NBD_STATE } from './nbd-constants.ts';
import { NBD_ALLOCATION_ID } from './nbd-negotiation.ts';

/** A stretch of an export of which it is known, or not, that it holds nothing but zeros. */
export interface NbdStretch {
  /** Bytes; less than 2^32. */
  readonly length: number;
  readonly isZero: boolean;
}

/** What a chunk of an answer is, besides its data. */
export interface NbdChunkOptions {
  /** Of the request. */
  readonly cookie: Uint8Array;
  /** Whether it is the last chunk of the answer. */
  readonly isLast: boolean;
}

const SIMPLE_SIZE = 16;
const CHUNK_SIZE = 20;

/** An answer without chunks; the data of a read follows it. @param error 0 for none */
export function encodeNbdSimpleReply(cookie: Uint8Array, error: number): Uint8Array {
  const bytes = new Uint8Array(SIMPLE_SIZE);
  writeU32Be(bytes, 0, NBD_MAGIC.simpleReply);
  writeU32Be(bytes, 4, error);
  bytes.set(cookie, 8);
  return bytes;
}

/** The last chunk of an answer whose other chunks say all there is to say. */
export function encodeNbdEnd(cookie: Uint8Array): Uint8Array {
  return chunk(NBD_CHUNK.none, 0, 0, { cookie, isLast: true });
}

/** The head of a chunk with data. @param length of the data, which follows */
export function encodeNbdDataHead(
  offset: number,
  length: number,
  options: NbdChunkOptions,
): Uint8Array {
  const bytes = chunk(NBD_CHUNK.offsetData, 8, length, options);
  writeSizeBe(bytes, CHUNK_SIZE, offset);
  return bytes;
}

/** A chunk for zeros. @param length more than 0 */
export function encodeNbdHole(
  offset: number,
  length: number,
  options: NbdChunkOptions,
): Uint8Array {
  const bytes = chunk(NBD_CHUNK.offsetHole, 12, 0, options);
  writeSizeBe(bytes, CHUNK_SIZE, offset);
  writeU32Be(bytes, CHUNK_SIZE + 8, length);
  return bytes;
}

/** The answer about holes. @param stretches one behind the other; at least one */
export function encodeNbdBlockStatus(
  stretches: readonly NbdStretch[],
  cookie: Uint8Array,
): Uint8Array {
  const size = 4 + 8 * stretches.length;
  const bytes = chunk(NBD_CHUNK.blockStatus, size, 0, { cookie, isLast: true });
  writeU32Be(bytes, CHUNK_SIZE, NBD_ALLOCATION_ID);
  for (const [i, { length, isZero }] of stretches.entries()) {
    const offset = CHUNK_SIZE + 4 + 8 * i;
    writeU32Be(bytes, offset, length);
    writeU32Be(bytes, offset + 4, isZero ? NBD_STATE.hole | NBD_STATE.zero : 0);
  }
  return bytes;
}

/**
 * The last chunk of an answer that failed.
 * @param message UTF-8; what is too long is left out
 * @param offset where it failed, if that is known
 */
export function encodeNbdError(
  error: number,
  message: Uint8Array,
  cookie: Uint8Array,
  offset?: number,
): Uint8Array {
  const text = cutText(message);
  const isPlaced = offset !== undefined;
  const type = isPlaced ? NBD_CHUNK.errorOffset : NBD_CHUNK.error;
  const size = 6 + text.length + (isPlaced ? 8 : 0);
  const bytes = chunk(type, size, 0, { cookie, isLast: true });
  writeU32Be(bytes, CHUNK_SIZE, error);
  writeU16Be(bytes, CHUNK_SIZE + 4, text.length);
  bytes.set(text, CHUNK_SIZE + 6);
  if (isPlaced) writeSizeBe(bytes, CHUNK_SIZE + 6 + text.length, offset);
  return bytes;
}

/** As much of a text as is allowed, cut between characters. */
function cutText(text: Uint8Array): Uint8Array {
  if (text.length <= NBD_LIMIT.stringBytes) return text;
  let end: number = NBD_LIMIT.stringBytes;
  while (end > 0 && (text[end] & 0xc0) === 0x80) end -= 1;
  return text.subarray(0, end);
}

/** @param present bytes of the payload that belong to the result. @param following those that do not */
function chunk(
  type: number,
  present: number,
  following: number,
  { cookie, isLast }: NbdChunkOptions,
): Uint8Array {
  const bytes = new Uint8Array(CHUNK_SIZE + present);
  writeU32Be(bytes, 0, NBD_MAGIC.structuredReply);
  writeU16Be(bytes, 4, isLast ? NBD_CHUNK_DONE : 0);
  writeU16Be(bytes, 6, type);
  bytes.set(cookie, 8);
  writeU32Be(bytes, 16, present + following);
  return bytes;
}
