/**
 * How contents of files are asked for and given in a tree session: whole, or as what differs from an
 * older file of the other side. Implements spec/formats/tree-session.md, "Content".
 */
import { type ChunkSizes, isFixedSize, validChunkSizes } from './chunk-sizes.ts';
import { ItemReader, type ItemWriter } from './tree-items.ts';
import {
  CONTENT_DIGEST_LENGTH,
  MOST_DATA,
  MOST_PIECES,
  SHORT_DIGEST_LENGTH,
} from './tree-session.ts';

/** An older file, cut into pieces. */
export interface OldPieces {
  /** How it was cut: by content, or every so many bytes if all three are equal. */
  readonly sizes: ChunkSizes;
  /** Bytes of the older file. */
  readonly byteCount: number;
  /** Bytes of each piece; left out where they are cut at fixed places. */
  readonly lengths?: readonly number[];
  /** {@link SHORT_DIGEST_LENGTH} bytes for each, over the salt of the session and the piece. */
  readonly digests: Uint8Array;
}

export interface WantedContent {
  /** Of the entry. */
  readonly number: number;
  /** What is there already; undefined to get all of it. */
  readonly pieces?: OldPieces;
}

/** Bytes of a piece, at most. */
const LARGEST_PIECE = 16 * 1024 * 1024;

const WHOLE = 0;
const FIXED = 1;
const BY_CONTENT = 2;

export function writeWanted(writer: ItemWriter, { number, pieces }: WantedContent): void {
  writer.count(number);
  if (pieces === undefined) {
    writer.byte(WHOLE);
    return;
  }
  const { sizes, byteCount, lengths, digests } = pieces;
  if (lengths === undefined) {
    writer.byte(FIXED).count(sizes.avg).count(byteCount).raw(digests);
    return;
  }
  writer.byte(BY_CONTENT).count(sizes.min).count(sizes.avg).count(sizes.max);
  writer.count(lengths.length);
  for (const length of lengths) writer.count(length);
  writer.raw(digests);
}

/** @param end numbers of entries are below it. @throws FormatError */
export function* readWanted(bytes: Uint8Array, end: number): Generator<WantedContent> {
  const reader = new ItemReader('WANT_CONTENT', bytes);
  while (!reader.isAtEnd) {
    const number = reader.count(end - 1);
    const mode = reader.byte();
    if (mode > BY_CONTENT) throw reader.wrong('a way to give content');
    if (mode === WHOLE) yield { number };
    else yield { number, pieces: mode === FIXED ? readFixed(reader) : readByContent(reader) };
  }
}

function readFixed(reader: ItemReader): OldPieces {
  const avg = reader.count(LARGEST_PIECE);
  const byteCount = reader.count();
  const count = Math.ceil(byteCount / avg);
  if (avg === 0 || count > MOST_PIECES) throw reader.wrong('pieces of a file');
  const digests = reader.raw(count * SHORT_DIGEST_LENGTH);
  return { sizes: { min: avg, avg, max: avg }, byteCount, digests };
}

function readByContent(reader: ItemReader): OldPieces {
  const sizes = { min: reader.count(), avg: reader.count(), max: reader.count() };
  if (!validChunkSizes(sizes, LARGEST_PIECE) || isFixedSize(sizes) || sizes.min < LEAST_PIECE) {
    throw reader.wrong('sizes of pieces');
  }
  const count = reader.count(MOST_PIECES);
  const lengths = Array.from({ length: count }, () => reader.count(sizes.max));
  const byteCount = lengths.reduce((sum, length) => sum + length, 0);
  return { sizes, byteCount, lengths, digests: reader.raw(count * SHORT_DIGEST_LENGTH) };
}

/** Pieces that are cut by content are at least this long. */
const LEAST_PIECE = 64;

/** A part of the content of a file, or its end. */
export type ContentItem =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** Bytes of the older file. */
  | { readonly kind: 'copy'; readonly offset: number; readonly length: number }
  | { readonly kind: 'zeros'; readonly length: number }
  /** Digest of all of it. */
  | { readonly kind: 'end'; readonly digest: Uint8Array }
  /** The file is gone or has changed; what has come of it is nothing. */
  | { readonly kind: 'unavailable' };

const DATA = 1;
const COPY = 2;
const ZEROS = 3;
const END = 4;
const UNAVAILABLE = 5;

/** @param position bytes of the content before the item. */
export function writeContent(writer: ItemWriter, item: ContentItem, position: number): void {
  switch (item.kind) {
    case 'data':
      writer.byte(DATA).text(item.bytes);
      break;
    case 'copy': {
      // Mostly from the same place: the sign is the lowest bit.
      const distance = item.offset - position;
      writer.byte(COPY).count(distance < 0 ? -2 * distance - 1 : 2 * distance);
      writer.count(item.length);
      break;
    }
    case 'zeros':
      writer.byte(ZEROS).count(item.length);
      break;
    case 'end':
      writer.byte(END).raw(item.digest);
      break;
    case 'unavailable':
      writer.byte(UNAVAILABLE);
  }
}

/** @param position as in {@link writeContent}. Bytes are views. @throws FormatError */
export function readContent(reader: ItemReader, position: number): ContentItem {
  switch (reader.byte()) {
    case DATA:
      return { kind: 'data', bytes: reader.text(MOST_DATA) };
    case COPY: {
      const folded = reader.count();
      const offset = position + (folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2);
      return { kind: 'copy', offset, length: reader.count() };
    }
    case ZEROS:
      return { kind: 'zeros', length: reader.count() };
    case END:
      return { kind: 'end', digest: reader.raw(CONTENT_DIGEST_LENGTH).slice() };
    case UNAVAILABLE:
      return { kind: 'unavailable' };
    default:
      throw reader.wrong('a part of a content');
  }
}

/** What a digest is asked for: present unless the file is gone. */
export interface DigestItem {
  readonly digest: Uint8Array;
  /** Of the begin, for files of at least {@link LEAST_WITH_HEAD} bytes. */
  readonly head?: number;
}

export const LEAST_WITH_HEAD = 64 * 1024;

export function writeDigest(writer: ItemWriter, item: DigestItem | undefined): void {
  writer.byte(item === undefined ? 0 : 1);
  if (item === undefined) return;
  writer.raw(item.digest);
  if (item.head !== undefined) writer.u32(item.head);
}

/** @param size of the file. @throws FormatError */
export function readDigest(reader: ItemReader, size: number): DigestItem | undefined {
  const flag = reader.byte();
  if (flag > 1) throw reader.wrong('a digest');
  if (flag === 0) return undefined;
  const digest = reader.raw(CONTENT_DIGEST_LENGTH).slice();
  return size < LEAST_WITH_HEAD ? { digest } : { digest, head: reader.u32() };
}
