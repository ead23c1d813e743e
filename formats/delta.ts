/**
 * Delta files: what leads from one version of an image to another. Header, framing of records and the
 * record at the end as bytes and back; what stands between them is in delta-blocks.ts and
 * delta-pieces.ts. Implements spec/formats/delta.md.
 */
import { type BlockDigest, type BlockDigestName, DIGEST_LENGTH } from './block-digest.ts';
import { equalBytes, readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { type ChunkSizes, validChunkSizes } from './chunk-sizes.ts';
import { FormatError } from './errors.ts';

const MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x64, 0x65, 0x6c, 0x0a, 0x01);
const VERSION_AT = 7;
const FIELDS_LENGTH = 64;
export const DELTA_HEADER_LENGTH = FIELDS_LENGTH + DIGEST_LENGTH;

/** Of a record: length of its body and type. */
export const DELTA_HEAD_LENGTH = 8;
/** Besides the body: head and checksum. */
export const DELTA_FRAME_LENGTH = DELTA_HEAD_LENGTH + DIGEST_LENGTH;
const END_BODY_LENGTH = 96;
/** The last record, which has always this length. */
export const DELTA_END_LENGTH = DELTA_FRAME_LENGTH + END_BODY_LENGTH;

/** Longest body, in bytes. */
const MAX_DELTA_BODY = 32 * 1024 * 1024;
export const SMALLEST_DELTA_BLOCK = 64;
export const LARGEST_DELTA_BLOCK = 16 * 1024 * 1024;
/** Longest image, in bytes; all its offsets are exact numbers. */
const MAX_IMAGE_SIZE = 2 ** 52;
const MAX_CHUNK_SIZE = 128 * 1024 * 1024;

/** Blocks that changed in their place, or pieces made of what the base holds anywhere. */
export type DeltaKind = 'blocks' | 'pieces';

export interface DeltaHeader {
  readonly kind: DeltaKind;
  /** Whether it was made to take a change back. */
  readonly isUndo: boolean;
  /** Of blocks, pieces, roots, and of the checksums of the file. */
  readonly digest: BlockDigestName;
  /** Bytes of a block; 0 for pieces. */
  readonly blockSize: number;
  /** How base and result are cut for their roots; for pieces only. */
  readonly chunkSizes: ChunkSizes | undefined;
}

/** What names a version of an image, together with digest and block size of the header. */
export interface ImageVersion {
  /** In bytes. */
  readonly size: number;
  /** 32 bytes (formats/image-root.ts). */
  readonly root: Uint8Array;
}

export interface DeltaEnd {
  readonly base: ImageVersion;
  readonly result: ImageVersion;
  /** Bytes of the result that are not at this place in the base. */
  readonly changedBytes: number;
  /** Bytes of the result that the delta holds. */
  readonly dataBytes: number;
}

const DELTA_RECORD = { blocks: 1, piece: 2, end: 3 } as const;
export type DeltaRecordName = keyof typeof DELTA_RECORD;

/** How data in a record is stored. */
export const DELTA_ENCODING = { plain: 0, zstd: 1 } as const;

const KINDS: readonly DeltaKind[] = ['blocks', 'pieces'];
const DIGESTS: readonly BlockDigestName[] = ['sha512-256', 'sha256', 'blake2b-256'];
const UNDO_FLAG = 1;
const NO_ROOM = new Uint8Array(0);

export function deltaFailure(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('delta', record, offset, expectation);
}

/** Whether a file that begins with these bytes is to be read as a delta, of whatever version. */
function isDelta(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => i === VERSION_AT || bytes[i] === byte);
}

export function encodeDeltaHeader(header: DeltaHeader, digest: BlockDigest): Uint8Array {
  const bytes = new Uint8Array(DELTA_HEADER_LENGTH);
  bytes.set(MAGIC);
  writeU32(bytes, 8, 1 + KINDS.indexOf(header.kind));
  writeU32(bytes, 12, header.isUndo ? UNDO_FLAG : 0);
  writeU32(bytes, 16, 1 + DIGESTS.indexOf(header.digest));
  writeU64(bytes, 24, header.blockSize);
  const { min, avg, max } = header.chunkSizes ?? { min: 0, avg: 0, max: 0 };
  for (const [i, value] of [min, avg, max].entries()) writeU64(bytes, 32 + 8 * i, value);
  digest.write(bytes.subarray(0, FIELDS_LENGTH), bytes, FIELDS_LENGTH);
  return bytes;
}

/**
 * @param bytes what the file begins with: {@link DELTA_HEADER_LENGTH} bytes, fewer if it has no more
 * @param digestOf the digest of a name
 * @throws FormatError
 */
export function decodeDeltaHeader(
  bytes: Uint8Array,
  digestOf: (name: BlockDigestName) => BlockDigest,
): DeltaHeader {
  if (!isDelta(bytes)) throw deltaFailure('header', 0, 'not a delta');
  if (bytes[VERSION_AT] !== MAGIC[VERSION_AT]) {
    throw deltaFailure('header', VERSION_AT, `version ${bytes[VERSION_AT]} is not known`);
  }
  if (bytes.length < DELTA_HEADER_LENGTH) throw ended('header', bytes.length);
  const digest = DIGESTS[readU32(bytes, 16) - 1];
  if (digest === undefined) throw deltaFailure('header', 16, 'unknown digest');
  const checksum = new Uint8Array(DIGEST_LENGTH);
  digestOf(digest).write(bytes.subarray(0, FIELDS_LENGTH), checksum, 0);
  if (!equalBytes(checksum, bytes.subarray(FIELDS_LENGTH, DELTA_HEADER_LENGTH))) {
    throw deltaFailure('header', FIELDS_LENGTH, 'checksum differs');
  }
  const kind = KINDS[readU32(bytes, 8) - 1];
  if (kind === undefined) throw deltaFailure('header', 8, 'unknown kind');
  const flags = readU32(bytes, 12);
  if (flags > UNDO_FLAG) throw deltaFailure('header', 12, 'unknown flags');
  if (!isZero(bytes.subarray(20, 24)) || !isZero(bytes.subarray(56, FIELDS_LENGTH))) {
    throw deltaFailure('header', 20, 'zeros expected');
  }
  return { kind, isUndo: flags === UNDO_FLAG, digest, ...decodeUnits(kind, bytes) };
}

function decodeUnits(kind: DeltaKind, bytes: Uint8Array) {
  const blockSize = readSize(bytes, 24);
  const [min, avg, max] = [32, 40, 48].map((offset) => readSize(bytes, offset));
  if (kind === 'pieces') {
    const chunkSizes = { min, avg, max };
    if (blockSize !== 0) throw deltaFailure('header', 24, 'pieces have no block size');
    if (!validChunkSizes(chunkSizes, MAX_CHUNK_SIZE)) {
      throw deltaFailure('header', 32, 'impossible chunk sizes');
    }
    return { blockSize, chunkSizes };
  }
  if (blockSize < SMALLEST_DELTA_BLOCK || blockSize > LARGEST_DELTA_BLOCK) {
    throw deltaFailure(
      'header',
      24,
      `blocks have ${SMALLEST_DELTA_BLOCK} to ${LARGEST_DELTA_BLOCK} bytes`,
    );
  }
  if (min + avg + max > 0) throw deltaFailure('header', 32, 'blocks have no chunk sizes');
  return { blockSize, chunkSizes: undefined };
}

/** The checksum that the first record continues. */
export function headerChecksum(header: Uint8Array): Uint8Array {
  return header.slice(FIELDS_LENGTH, DELTA_HEADER_LENGTH);
}

/**
 * A record with its checksum, which is of the checksum before, head and body: no record can be left out,
 * moved or added.
 * @param previous checksum of what stands before
 * @param parts of the body, one behind the other
 * @param room memory that the result may lie in, if it is large enough
 */
export function sealDeltaRecord(
  digest: BlockDigest,
  previous: Uint8Array,
  type: DeltaRecordName,
  parts: readonly Uint8Array[],
  room: Uint8Array = NO_ROOM,
): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const needed = DIGEST_LENGTH + DELTA_FRAME_LENGTH + length;
  const bytes = room.length < needed ? new Uint8Array(needed) : room.subarray(0, needed);
  bytes.set(previous);
  writeU32(bytes, DIGEST_LENGTH, length);
  writeU32(bytes, DIGEST_LENGTH + 4, DELTA_RECORD[type]);
  let end = DIGEST_LENGTH + DELTA_HEAD_LENGTH;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  digest.write(bytes.subarray(0, end), bytes, end);
  return bytes.subarray(DIGEST_LENGTH);
}

export interface DeltaHead {
  readonly type: DeltaRecordName;
  /** Of the body. */
  readonly length: number;
}

/** @param bytes eight bytes at least. @param offset of them in the file. @throws FormatError */
export function decodeDeltaHead(bytes: Uint8Array, offset: number): DeltaHead {
  const length = readU32(bytes, 0);
  const number = readU32(bytes, 4);
  const names = Object.keys(DELTA_RECORD) as DeltaRecordName[];
  const type = names.find((name) => DELTA_RECORD[name] === number);
  if (type === undefined) throw deltaFailure('record', offset + 4, 'unknown type');
  if (length > MAX_DELTA_BODY) throw deltaFailure(type, offset, 'the record is too long');
  if (type === 'end' && length !== END_BODY_LENGTH) {
    throw deltaFailure(type, offset, `the last record has ${END_BODY_LENGTH} bytes`);
  }
  return { type, length };
}

/**
 * Checks a record.
 * @param framed the checksum before it, and the whole record
 * @param offset of the record in the file
 * @returns its body and checksum, in place
 * @throws FormatError
 */
export function openDeltaRecord(
  digest: BlockDigest,
  framed: Uint8Array,
  offset: number,
): { readonly body: Uint8Array; readonly checksum: Uint8Array } {
  const end = framed.length - DIGEST_LENGTH;
  const expected = new Uint8Array(DIGEST_LENGTH);
  digest.write(framed.subarray(0, end), expected, 0);
  const checksum = framed.subarray(end);
  if (!equalBytes(expected, checksum)) {
    throw deltaFailure('record', offset + end - DIGEST_LENGTH, 'checksum differs');
  }
  return { body: framed.subarray(DIGEST_LENGTH + DELTA_HEAD_LENGTH, end), checksum };
}

/** The body of the last record. */
export function encodeDeltaEnd({ base, result, changedBytes, dataBytes }: DeltaEnd): Uint8Array {
  const body = new Uint8Array(END_BODY_LENGTH);
  writeU64(body, 0, base.size);
  body.set(base.root, 8);
  writeU64(body, 40, result.size);
  body.set(result.root, 48);
  writeU64(body, 80, changedBytes);
  writeU64(body, 88, dataBytes);
  return body;
}

/** @param body {@link DELTA_END_LENGTH} less its frame. @param offset in the file. @throws FormatError */
export function decodeDeltaEnd(body: Uint8Array, offset: number): DeltaEnd {
  const [baseSize, resultSize] = [readSize(body, 0), readSize(body, 40)];
  const [changedBytes, dataBytes] = [readSize(body, 80), readSize(body, 88)];
  if (Math.max(baseSize, resultSize) > MAX_IMAGE_SIZE) {
    throw deltaFailure('end', offset, 'images have at most 2^52 bytes');
  }
  if (changedBytes > resultSize || dataBytes > changedBytes) {
    throw deltaFailure('end', offset + 80, 'more bytes changed than there are');
  }
  return {
    base: { size: baseSize, root: body.slice(8, 40) },
    result: { size: resultSize, root: body.slice(48, 80) },
    changedBytes,
    dataBytes,
  };
}

export function isSameVersion(a: ImageVersion, b: ImageVersion): boolean {
  return a.size === b.size && equalBytes(a.root, b.root);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function ended(record: string, offset: number): FormatError {
  return deltaFailure(record, offset, 'the file ends early');
}
