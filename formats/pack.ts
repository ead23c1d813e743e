/**
 * Packs: many small chunks in one file, each as it is stored, with an index sorted by id behind them
 * (spec/formats/pack.md). Header, index and trailer as bytes and back. Used by stores on this machine.
 */
import { compareBytes, readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { CHUNK_ID_LENGTH, type DigestName } from './chunk-id.ts';
import { DEFAULT_DECODE_LIMITS } from './decode-limits.ts';
import { FormatError } from './errors.ts';

const FORMAT = 'pack';
const MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x70, 0x61, 0x63, 0x0a, 0x01);
const END_MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x70, 0x65, 0x6e, 0x64, 0x0a);
const DIGESTS: readonly DigestName[] = ['sha256', 'sha512-256'];

export const PACK_HEADER_LENGTH = 32;
export const PACK_TRAILER_LENGTH = 64;
export const PACK_ENTRY_LENGTH = 48;
/** A count for each value of the first byte of ids. */
const FAN_OUT = 256;
export const PACK_FAN_OUT_LENGTH = FAN_OUT * 4;
/** Most chunks of a pack. Writers begin a new one earlier. */
const MAX_COUNT = 2 ** 24;
const CHECKSUM_LENGTH = 32;

/** Where a chunk lies in a pack. */
export interface PackEntry {
  /** Of its stored form, in bytes. */
  readonly offset: number;
  readonly storedLength: number;
  /** Of the chunk itself. Stored as it is where both are equal, else compressed. */
  readonly plainLength: number;
}

/** Where everything lies in a pack. */
export interface PackLayout {
  readonly indexOffset: number;
  readonly indexLength: number;
  readonly count: number;
  /** SHA-256 of header and index, which the file is named by. */
  readonly checksum: Uint8Array;
}

function damaged(record: string, offset: number, expectation: string): FormatError {
  return new FormatError(FORMAT, record, offset, expectation);
}

function expectZeros(bytes: Uint8Array, record: string, start: number, end: number): void {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) throw damaged(record, i, 'must be zero');
}

function expectMagic(bytes: Uint8Array, offset: number, magic: Uint8Array, record: string): void {
  if (compareBytes(bytes.subarray(offset, offset + magic.length), magic) === 0) return;
  throw damaged(record, offset, 'not a pack, or one of a later version');
}

export function encodePackHeader(digest: DigestName): Uint8Array {
  const bytes = new Uint8Array(PACK_HEADER_LENGTH);
  bytes.set(MAGIC);
  writeU32(bytes, 8, DIGESTS.indexOf(digest) + 1);
  return bytes;
}

/** @returns the digest that names the chunks. @throws FormatError */
export function decodePackHeader(bytes: Uint8Array): DigestName {
  if (bytes.length < PACK_HEADER_LENGTH) throw damaged('HEADER', bytes.length, 'the file ends');
  expectMagic(bytes, 0, MAGIC, 'HEADER');
  const digest = DIGESTS[readU32(bytes, 8) - 1];
  if (digest === undefined) throw damaged('HEADER', 8, 'an unknown digest');
  expectZeros(bytes, 'HEADER', 12, PACK_HEADER_LENGTH);
  return digest;
}

/** @param layout.checksum 32 bytes */
export function encodePackTrailer(layout: Omit<PackLayout, 'indexLength'>): Uint8Array {
  const bytes = new Uint8Array(PACK_TRAILER_LENGTH);
  writeU64(bytes, 0, layout.indexOffset);
  writeU64(bytes, 8, layout.count);
  bytes.set(layout.checksum, 16);
  bytes.set(END_MAGIC, 56);
  return bytes;
}

/**
 * @param bytes the last ones of the file
 * @param fileSize of the whole file, in bytes
 * @throws FormatError
 */
export function decodePackTrailer(bytes: Uint8Array, fileSize: number): PackLayout {
  const start = fileSize - PACK_TRAILER_LENGTH;
  if (bytes.length !== PACK_TRAILER_LENGTH || start < PACK_HEADER_LENGTH) {
    throw damaged('TRAILER', fileSize, 'the file is too short');
  }
  expectMagic(bytes, 56, END_MAGIC, 'TRAILER');
  expectZeros(bytes, 'TRAILER', 48, 56);
  const indexOffset = readSize(bytes, 0);
  const count = readSize(bytes, 8);
  if (count > MAX_COUNT) throw damaged('TRAILER', start + 8, 'too many chunks');
  const indexLength = packIndexLength(count);
  if (indexOffset < PACK_HEADER_LENGTH || indexOffset + indexLength !== start) {
    throw damaged('TRAILER', start, 'the index does not end where the trailer begins');
  }
  return { indexOffset, indexLength, count, checksum: bytes.slice(16, 16 + CHECKSUM_LENGTH) };
}

/** Bytes of the index of so many chunks. */
export function packIndexLength(count: number): number {
  return PACK_FAN_OUT_LENGTH + count * PACK_ENTRY_LENGTH;
}

/** The counts of an index: how many ids begin with this byte or a lower one. @throws FormatError */
export function decodePackFanOut(bytes: Uint8Array, { count, indexOffset }: PackLayout) {
  const totals = new Uint32Array(FAN_OUT);
  for (let i = 0; i < FAN_OUT; i++) {
    totals[i] = readU32(bytes, i * 4);
    const isRising = totals[i] >= (i === 0 ? 0 : totals[i - 1]);
    if (!isRising || totals[i] > count) {
      throw damaged('INDEX', indexOffset + i * 4, 'counts must rise up to that of the trailer');
    }
  }
  if (totals[FAN_OUT - 1] !== count) {
    throw damaged('INDEX', indexOffset, 'counts must rise up to that of the trailer');
  }
  return totals;
}

/** One entry. @param layout of the pack. @throws FormatError if it leads out of the data */
export function decodePackEntry(
  entries: Uint8Array,
  at: number,
  { indexOffset }: Pick<PackLayout, 'indexOffset'>,
): PackEntry {
  const offset = readSize(entries, at + CHUNK_ID_LENGTH);
  const storedLength = readU32(entries, at + CHUNK_ID_LENGTH + 8);
  const plainLength = readU32(entries, at + CHUNK_ID_LENGTH + 12);
  const isWithin = offset >= PACK_HEADER_LENGTH && offset + storedLength <= indexOffset;
  const isSmall = plainLength <= DEFAULT_DECODE_LIMITS.maxChunkSize;
  if (!isWithin || !isSmall || storedLength === 0 || storedLength > plainLength) {
    throw damaged('ENTRY', indexOffset, 'an entry leads out of the data');
  }
  return { offset, storedLength, plainLength };
}

/**
 * Checks an index as a whole: order, counts and every entry.
 * @param index all of it, from the counts on
 * @throws FormatError
 */
export function checkPackIndex(index: Uint8Array, layout: PackLayout): void {
  const totals = decodePackFanOut(index, layout);
  let below = 0;
  for (let i = 0; i < layout.count; i++) {
    const at = PACK_FAN_OUT_LENGTH + i * PACK_ENTRY_LENGTH;
    const isInOrder = i === 0 || comparePackIds(index, at - PACK_ENTRY_LENGTH, index, at) < 0;
    while (totals[below] <= i) below += 1;
    if (!isInOrder || index[at] !== below) {
      throw damaged('INDEX', layout.indexOffset + at, 'ids must rise');
    }
    decodePackEntry(index, at, layout);
  }
}

/** The order of two ids within larger arrays. */
export function comparePackIds(a: Uint8Array, at: number, b: Uint8Array, bAt: number): number {
  for (let i = 0; i < CHUNK_ID_LENGTH; i++) {
    const difference = a[at + i] - b[bAt + i];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The number of the entry of an id in sorted entries. @returns -1 - where it would be */
export function findPackEntry(
  entries: Uint8Array,
  { first, end }: { readonly first: number; readonly end: number },
  id: Uint8Array,
  idAt = 0,
): number {
  let [low, high] = [first, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = comparePackIds(entries, middle * PACK_ENTRY_LENGTH, id, idAt);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1 - low;
}
