/**
 * The state of a map: what its map file describes, how to recognise it, and behind that the journal of
 * an update. Pure codec; who appends and when is in lib/images. Implements spec/formats/map.md.
 */
import { type BlockDigest, type BlockDigestName, DIGEST_LENGTH } from './block-digest.ts';
import {
  asciiBytes,
  equalBytes,
  readSize,
  readU32,
  readU64,
  U64_MAX,
  writeU32,
  writeU64,
} from './bytes.ts';
import { FormatError } from './errors.ts';

const MAGIC = asciiBytes('casync map 1\n\0\0\0');
const FIXED_LENGTH = 144;
const HEADER_ALIGNMENT = 64;
const LONGEST_IDENTITY = 2048;
/** Bytes of the longest header. */
export const LONGEST_MAP_HEADER = 2304;
export const TAG_LENGTH = 16;

const DIGESTS: readonly (BlockDigestName | undefined)[] = [
  undefined,
  'sha256',
  'sha512-256',
  'blake2b-256',
];
const FLAG_UNKNOWN = 1;
const FLAG_UNSYNCED = 2;
const FLAG_TAG = 4;

const SMALLEST_MAP_BLOCK = 512;
const LARGEST_MAP_BLOCK = 16 * 1024 * 1024;

/**
 * Record type of a map with BLAKE2b digests, in the place of the one of an index: casync knows no such
 * digest and must not take it for another one.
 */
export const BLAKE2B_MAP_TYPE = 0x4d8a1c3be96f2057n;

/** How a destination was when its map was made. */
export interface MapCondition {
  /** Of the map, 32 bytes. */
  readonly root: Uint8Array;
  /** Bytes that the map describes. */
  readonly imageSize: number;
  /** Bytes of the destination; more than those of the image where it was larger. */
  readonly destinationSize: number;
  /** Last change of a file, in nanoseconds; undefined for a device. */
  readonly mtimeNs: bigint | undefined;
  /** What a device has counted of writes; undefined where it does not count. */
  readonly writeCount: bigint | undefined;
  /** Of the run of the machine that counted; 0n if unknown. */
  readonly bootId: bigint;
}

/** What a map belongs to. */
export interface MapBinding {
  readonly kind: 'file' | 'device';
  /** 16 random bytes that are also an attribute of the file; undefined where there are none. */
  readonly tag: Uint8Array | undefined;
  /** Of a file; 0n for a device. */
  readonly inode: bigint;
  /** When the file was made, in nanoseconds; 0n if unknown. */
  readonly birthNs: bigint;
  /** Of a device: what tells it from all others; of a file: its path, for people. */
  readonly identity: string;
}

export interface MapHeader {
  readonly digest: BlockDigestName;
  readonly blockSize: number;
  readonly condition: MapCondition;
  readonly binding: MapBinding;
  /** Whether there is no map file: all that is known stands in the journal. */
  readonly isUnknown: boolean;
  /** Whether the destination was not written to disk: good only while the machine runs. */
  readonly isUnsynced: boolean;
}

/** Puts 32 bytes behind a copy of `bytes`. */
function sealed(sha256: BlockDigest, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length + DIGEST_LENGTH);
  result.set(bytes);
  sha256.write(bytes, result, bytes.length);
  return result;
}

/** @param sha256 seals it; identity: at most 2048 bytes of UTF-8 @throws FormatError for limits */
export function encodeMapHeader(
  header: MapHeader,
  { sha256, utf8 }: { readonly sha256: BlockDigest; readonly utf8: (text: string) => Uint8Array },
): Uint8Array {
  const { binding, condition, blockSize } = header;
  const identity = utf8(binding.identity);
  if (identity.length > LONGEST_IDENTITY) throw failure(136, 'the identity is too long');
  checkBlockSize(blockSize);
  const used = FIXED_LENGTH + identity.length + DIGEST_LENGTH;
  const length = Math.ceil(used / HEADER_ALIGNMENT) * HEADER_ALIGNMENT;
  const bytes = new Uint8Array(length - DIGEST_LENGTH);
  bytes.set(MAGIC);
  writeU32(bytes, 16, length);
  bytes[20] = DIGESTS.indexOf(header.digest);
  bytes[21] = binding.kind === 'file' ? 1 : 2;
  bytes[22] =
    (header.isUnknown ? FLAG_UNKNOWN : 0) |
    (header.isUnsynced ? FLAG_UNSYNCED : 0) |
    (binding.tag === undefined ? 0 : FLAG_TAG);
  writeU64(bytes, 24, blockSize);
  writeCondition(bytes, 32, condition);
  if (binding.tag !== undefined) bytes.set(binding.tag, 104);
  writeU64(bytes, 120, binding.inode);
  writeU64(bytes, 128, binding.birthNs);
  writeU32(bytes, 136, identity.length);
  bytes.set(identity, FIXED_LENGTH);
  return sealed(sha256, bytes);
}

export interface DecodedMapHeader extends MapHeader {
  /** Where the journal begins. */
  readonly length: number;
}

/**
 * @param bytes what the file begins with, up to {@link LONGEST_MAP_HEADER}
 * @throws FormatError for everything that {@link encodeMapHeader} does not make
 */
export function decodeMapHeader(
  bytes: Uint8Array,
  tools: {
    readonly sha256: BlockDigest;
    readonly utf8: (text: string) => Uint8Array;
    readonly text: (bytes: Uint8Array) => string;
  },
): DecodedMapHeader {
  if (bytes.length < FIXED_LENGTH + DIGEST_LENGTH)
    throw failure(bytes.length, 'the file ends early');
  if (!equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) throw failure(0, 'this is no map state');
  const length = readU32(bytes, 16);
  const identityLength = readU32(bytes, 136);
  if (length > LONGEST_MAP_HEADER || identityLength > LONGEST_IDENTITY) {
    throw failure(16, 'too long');
  }
  if (length > bytes.length) throw failure(bytes.length, 'the file ends early');
  const seal = new Uint8Array(DIGEST_LENGTH);
  const inner = length - DIGEST_LENGTH;
  if (inner < FIXED_LENGTH + identityLength) throw failure(16, 'too short');
  tools.sha256.write(bytes.subarray(0, inner), seal, 0);
  if (!equalBytes(seal, bytes.subarray(inner, length))) throw failure(inner, 'wrong checksum');
  const digest = DIGESTS[bytes[20]];
  if (digest === undefined) throw failure(20, 'unknown digest');
  const blockSize = readSize(bytes, 24);
  checkBlockSize(blockSize);
  const flags = bytes[22];
  const header: MapHeader = {
    digest,
    blockSize,
    condition: readCondition(bytes, 32),
    binding: {
      kind: bytes[21] === 1 ? 'file' : 'device',
      tag: (flags & FLAG_TAG) === 0 ? undefined : bytes.slice(104, 104 + TAG_LENGTH),
      inode: readU64(bytes, 120),
      birthNs: readU64(bytes, 128),
      identity: tools.text(bytes.subarray(FIXED_LENGTH, FIXED_LENGTH + identityLength)),
    },
    isUnknown: (flags & FLAG_UNKNOWN) !== 0,
    isUnsynced: (flags & FLAG_UNSYNCED) !== 0,
  };
  // There is one form of everything: what other bits and bytes could mean is for later versions.
  if (!equalBytes(encodeMapHeader(header, tools), bytes.subarray(0, length))) {
    throw failure(0, 'of a later version');
  }
  return { ...header, length };
}

function checkBlockSize(blockSize: number): void {
  const isRight =
    blockSize % SMALLEST_MAP_BLOCK === 0 &&
    blockSize >= SMALLEST_MAP_BLOCK &&
    blockSize <= LARGEST_MAP_BLOCK;
  if (!isRight) throw failure(24, 'block size must be a multiple of 512 up to 16 MiB');
}

/** Bytes of a condition: in the header and in the last record of the journal. */
export const CONDITION_LENGTH = 72;

export function writeCondition(bytes: Uint8Array, at: number, condition: MapCondition): void {
  bytes.set(condition.root, at);
  writeU64(bytes, at + 32, condition.imageSize);
  writeU64(bytes, at + 40, condition.destinationSize);
  writeU64(bytes, at + 48, condition.mtimeNs ?? U64_MAX);
  writeU64(bytes, at + 56, condition.writeCount ?? U64_MAX);
  writeU64(bytes, at + 64, condition.bootId);
}

export function readCondition(bytes: Uint8Array, at: number): MapCondition {
  return {
    root: bytes.slice(at, at + DIGEST_LENGTH),
    imageSize: sizeAt(bytes, at + 32),
    destinationSize: sizeAt(bytes, at + 40),
    mtimeNs: knownAt(bytes, at + 48),
    writeCount: knownAt(bytes, at + 56),
    bootId: readU64(bytes, at + 64),
  };
}

function knownAt(bytes: Uint8Array, at: number): bigint | undefined {
  const value = readU64(bytes, at);
  return value === U64_MAX ? undefined : value;
}

function sizeAt(bytes: Uint8Array, at: number): number {
  const size = readSize(bytes, at);
  if (!Number.isSafeInteger(size)) throw failure(at, 'too large a size');
  return size;
}

function failure(offset: number, expectation: string): FormatError {
  return new FormatError('map state', 'HEADER', offset, expectation);
}
