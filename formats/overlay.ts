/**
 * The file behind `--cow`: which blocks of an image were written, and what they hold now. Header, journal
 * and map as bytes and back (spec/formats/overlay.md). Used by the writable layer of block exports.
 */
import { readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { FormatError, LimitExceeded } from './errors.ts';

/** Bytes of a block, and of each page of the header, the journal and the map. */
export const BLOCK_LENGTH = 4096;
/** Longest image, in bytes. */
const MAX_IMAGE_SIZE = 8 * 1024 ** 4;
/** Pages of the map that fit into the journal. */
export const JOURNAL_CAPACITY = 64;
const IDENTITY_LENGTH = 32;
export const OVERLAY_ID_LENGTH = 8;

const FORMAT = 'overlay';
const MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x6f, 0x76, 0x6c, 0x0a, 0x01);
const VERSION_AT = 7;

/** A page ends with its number, the id of the overlay, and the CRC-32 of all before. */
const NUMBER_AT = BLOCK_LENGTH - 16;
const ID_AT = BLOCK_LENGTH - 12;
const CRC_AT = BLOCK_LENGTH - 4;
const HEADER_NUMBER = 0xffff_ffff;
const JOURNAL_NUMBER = 0xffff_fffe;

const STATES_PER_BYTE = 4;
/** Bytes of a map page that hold states. */
export const STATES_LENGTH = NUMBER_AT;
export const BLOCKS_PER_PAGE = STATES_LENGTH * STATES_PER_BYTE;
/** Every other bit; three of these, as a state, do not exist. */
const LOW_BITS = 0x55;

/** Where the bytes of a block come from; two bits in the map. */
export const FROM_BASE = 0;
export const ZEROS = 1;
export const FROM_OVERLAY = 2;
export type BlockState = typeof FROM_BASE | typeof ZEROS | typeof FROM_OVERLAY;

/** CRC-32 as in gzip and PNG. */
export type Crc32 = (bytes: Uint8Array) => number;

export interface OverlayHeader {
  /** Bytes of the image. */
  readonly size: number;
  /** What the base is recognised by, 32 bytes; undefined if nothing is known but its size. */
  readonly identity: Uint8Array | undefined;
  /** Random; stands in each page, so that pages of other overlays are not taken for its own. */
  readonly id: Uint8Array;
}

/** Where everything lies in the file, in bytes. */
export interface OverlayLayout {
  readonly blockCount: number;
  readonly pageCount: number;
  readonly journalOffset: number;
  readonly mapOffset: number;
  /** Block 0. */
  readonly dataOffset: number;
  readonly fileSize: number;
}

/** @param size bytes of the image. @throws LimitExceeded */
export function overlayLayout(size: number): OverlayLayout {
  if (size > MAX_IMAGE_SIZE) {
    throw new LimitExceeded({ reason: 'images with overlays are at most 8 TiB long' });
  }
  const blockCount = Math.ceil(size / BLOCK_LENGTH);
  const pageCount = Math.ceil(blockCount / BLOCKS_PER_PAGE);
  const mapOffset = (2 + JOURNAL_CAPACITY) * BLOCK_LENGTH;
  const dataOffset = mapOffset + pageCount * BLOCK_LENGTH;
  const fileSize = dataOffset + size;
  return { blockCount, pageCount, journalOffset: BLOCK_LENGTH, mapOffset, dataOffset, fileSize };
}

/** The first page of the file. */
export function encodeOverlayHeader(header: OverlayHeader, crc32: Crc32): Uint8Array {
  const page = new Uint8Array(BLOCK_LENGTH);
  page.set(MAGIC);
  writeU64(page, 8, header.size);
  writeU64(page, 16, BLOCK_LENGTH);
  if (header.identity !== undefined) {
    writeU64(page, 24, 1);
    page.set(header.identity, 32);
  }
  return sealed(page, HEADER_NUMBER, header.id, crc32);
}

/** @param page the first 4096 bytes of the file. @throws FormatError */
export function decodeOverlayHeader(page: Uint8Array, crc32: Crc32): OverlayHeader {
  const fail = (offset: number, expectation: string) =>
    new FormatError(FORMAT, 'header', offset, expectation);
  if (page.length < BLOCK_LENGTH || !MAGIC.every((byte, i) => i === VERSION_AT || byte === page[i]))
    throw fail(0, 'not an overlay');
  if (page[VERSION_AT] !== MAGIC[VERSION_AT])
    throw fail(VERSION_AT, `version ${page[VERSION_AT]} is not known`);
  const id = page.slice(ID_AT, CRC_AT);
  if (!isSealed(page, HEADER_NUMBER, id, crc32)) throw fail(CRC_AT, 'checksum differs');
  const size = readSize(page, 8);
  if (size > MAX_IMAGE_SIZE) throw fail(8, 'size above the limit of 8 TiB');
  if (readSize(page, 16) !== BLOCK_LENGTH) throw fail(16, 'block size is not 4096');
  const kind = readSize(page, 24);
  if (kind > 1) throw fail(24, 'unknown kind of identity');
  const identity = kind === 1 ? page.slice(32, 32 + IDENTITY_LENGTH) : undefined;
  return { size, identity, id };
}

/** A page of the map. @param states two bits a block, lowest first; copied */
export function encodeMapPage(
  number: number,
  states: Uint8Array,
  id: Uint8Array,
  crc32: Crc32,
): Uint8Array {
  const page = new Uint8Array(BLOCK_LENGTH);
  page.set(states);
  return sealed(page, number, id, crc32);
}

/**
 * The states in a page of the map, copied; undefined where it has never been written: all of its
 * blocks come from the base.
 * @throws FormatError
 */
export function decodeMapPage(
  page: Uint8Array,
  number: number,
  id: Uint8Array,
  crc32: Crc32,
): Uint8Array | undefined {
  if (isEmpty(page)) return undefined;
  const offset = (2 + JOURNAL_CAPACITY + number) * BLOCK_LENGTH;
  if (!isSealed(page, number, id, crc32)) {
    throw new FormatError(FORMAT, 'map', offset, 'checksum differs');
  }
  const states = page.slice(0, STATES_LENGTH);
  if (states.some((byte) => (byte & (byte >>> 1) & LOW_BITS) !== 0)) {
    throw new FormatError(FORMAT, 'map', offset, 'unknown state of a block');
  }
  return states;
}

export interface JournalPage {
  /** Which page of the map. */
  readonly number: number;
  /** The sealed page. */
  readonly bytes: Uint8Array;
}

/** What is written to the journal. @param pages at most {@link JOURNAL_CAPACITY} */
export function encodeJournal(
  pages: readonly JournalPage[],
  id: Uint8Array,
  crc32: Crc32,
): Uint8Array {
  const journal = new Uint8Array((1 + pages.length) * BLOCK_LENGTH);
  const head = journal.subarray(0, BLOCK_LENGTH);
  writeU64(head, 0, pages.length);
  for (const [i, { number, bytes }] of pages.entries()) {
    writeU32(head, 8 + 8 * i, number);
    writeU32(head, 12 + 8 * i, readU32(bytes, CRC_AT));
    journal.set(bytes, (1 + i) * BLOCK_LENGTH);
  }
  sealed(head, JOURNAL_NUMBER, id, crc32);
  return journal;
}

/**
 * The pages in a journal; none if it is not whole: what it was to say has not been promised then.
 * @param journal the whole area; the result aliases it
 * @param pageCount pages of the map
 */
export function decodeJournal(
  journal: Uint8Array,
  { pageCount }: OverlayLayout,
  id: Uint8Array,
  crc32: Crc32,
): readonly JournalPage[] {
  const head = journal.subarray(0, BLOCK_LENGTH);
  if (!isSealed(head, JOURNAL_NUMBER, id, crc32)) return [];
  const count = readSize(head, 0);
  if (count > JOURNAL_CAPACITY) return [];
  const pages = Array.from({ length: count }, (_, i) => ({
    number: readU32(head, 8 + 8 * i),
    crc: readU32(head, 12 + 8 * i),
    bytes: journal.subarray((1 + i) * BLOCK_LENGTH, (2 + i) * BLOCK_LENGTH),
  }));
  const isWhole = pages.every(
    ({ number, crc, bytes }) =>
      number < pageCount && readU32(bytes, CRC_AT) === crc && isSealed(bytes, number, id, crc32),
  );
  return isWhole ? pages : [];
}

function sealed(page: Uint8Array, number: number, id: Uint8Array, crc32: Crc32): Uint8Array {
  writeU32(page, NUMBER_AT, number);
  page.set(id, ID_AT);
  writeU32(page, CRC_AT, crc32(page.subarray(0, CRC_AT)));
  return page;
}

function isSealed(page: Uint8Array, number: number, id: Uint8Array, crc32: Crc32): boolean {
  return (
    page.length === BLOCK_LENGTH &&
    readU32(page, NUMBER_AT) === number &&
    id.every((byte, i) => byte === page[ID_AT + i]) &&
    readU32(page, CRC_AT) === crc32(page.subarray(0, CRC_AT))
  );
}

function isEmpty(page: Uint8Array): boolean {
  return page.every((byte) => byte === 0);
}
