/**
 * Cuts a file into pieces, so that two versions of it can be told apart piece by piece: at fixed places
 * where content stays where it was, by content elsewhere. Used by both sides of a tree session.
 */
import { createHash } from 'node:crypto';
import { type ChunkSizes, isFixedSize } from '../../../formats/chunk-sizes.ts';
import type { OldPieces } from '../../../formats/tree-content.ts';
import { MOST_PIECES, SHORT_DIGEST_LENGTH } from '../../../formats/tree-session.ts';
import { createScanner } from '../../chunking/scanner-choice.ts';
import { throwIfAborted } from '../../errors.ts';
import type { Breather } from '../../work/breathe.ts';
import { readPiece } from './file-digest.node.ts';

const BLOCK = 4096;
/** Of files up to this size: an edit is worth less than a block of theirs. */
const SMALL_FILE = 64 * 1024;
const SMALL_BLOCK = 512;
/** Smaller files come as a whole. */
export const LEAST_CUT = 2048;
/** From here on, sizes that are whole blocks speak for content that stays in its place. */
const LEAST_IMAGE = 1024 * 1024;
const BUFFER_LENGTH = 1024 * 1024;

/** How to cut a file that has become another one of this size. */
export function sizesOfPieces(oldSize: number, newSize: number): ChunkSizes {
  let avg = Math.max(oldSize, newSize) <= SMALL_FILE ? SMALL_BLOCK : BLOCK;
  while (Math.max(oldSize, newSize) / avg > MOST_PIECES / 4) avg *= 2;
  const areBlocks = oldSize % BLOCK === 0 && newSize % BLOCK === 0;
  const staysInPlace = oldSize === newSize || (areBlocks && newSize >= LEAST_IMAGE);
  return staysInPlace ? { min: avg, avg, max: avg } : { min: avg / 4, avg, max: 4 * avg };
}

export interface Piece {
  readonly offset: number;
  /** Valid until the next piece is taken. */
  readonly bytes: Uint8Array;
}

/** All pieces of an open file, in order; fewer bytes if it has become shorter. */
export function* piecesOf(fd: number, size: number, sizes: ChunkSizes): Generator<Piece> {
  const scanner = createScanner({ chunker: 'fastcdc', chunkSizes: sizes });
  const buffer = Buffer.allocUnsafeSlow(Math.max(BUFFER_LENGTH, 2 * sizes.max));
  let [start, end] = [0, 0];
  for (let offset = 0; offset < size; ) {
    if (end - start < sizes.max && offset + (end - start) < size) {
      buffer.copyWithin(0, start, end);
      end -= start;
      start = 0;
      const room = Math.min(buffer.length - end, size - offset - end);
      const length = readPiece(fd, buffer.subarray(end, end + room), offset + end);
      end += length;
      if (length < room && end === 0) return;
    }
    const length = scanner.firstChunk(buffer.subarray(start, end));
    yield { offset, bytes: buffer.subarray(start, start + length) };
    start += length;
    offset += length;
  }
}

export function digestPiece(salt: Uint8Array, bytes: Uint8Array): Buffer {
  return createHash('sha256').update(salt).update(bytes).digest().subarray(0, SHORT_DIGEST_LENGTH);
}

export interface CuttingOptions {
  readonly salt: Uint8Array;
  readonly sizes: ChunkSizes;
  readonly breathe: Breather;
  readonly signal?: AbortSignal | undefined;
}

/** The pieces of an older file, for the other side. @throws PipelineError without subject */
export async function cutOldFile(
  fd: number,
  size: number,
  { salt, sizes, breathe, signal }: CuttingOptions,
): Promise<OldPieces | undefined> {
  const lengths: number[] = [];
  const digests: Buffer[] = [];
  let byteCount = 0;
  for (const { bytes } of piecesOf(fd, size, sizes)) {
    throwIfAborted(signal);
    lengths.push(bytes.length);
    digests.push(digestPiece(salt, bytes));
    byteCount += bytes.length;
    await breathe();
  }
  if (byteCount !== size || lengths.length > MOST_PIECES) return undefined;
  const pieces = { sizes, byteCount, digests: Buffer.concat(digests) };
  return isFixedSize(sizes) ? pieces : { ...pieces, lengths };
}

/** Finds pieces of an older file by their digests. */
export class PieceFinder {
  readonly #pieces: OldPieces;
  readonly #offsets = new Map<string, { readonly offset: number; readonly length: number }>();

  constructor(pieces: OldPieces) {
    this.#pieces = pieces;
    if (pieces.lengths === undefined) return;
    let offset = 0;
    pieces.lengths.forEach((length, i) => {
      this.#offsets.set(this.#keyAt(i), { offset, length });
      offset += length;
    });
  }

  /** Where the older file has a piece. @returns undefined if it does not have it */
  find(offset: number, length: number, digest: Buffer): number | undefined {
    const { sizes, byteCount, lengths } = this.#pieces;
    if (lengths === undefined) {
      if (Math.min(sizes.avg, byteCount - offset) !== length) return undefined;
      return this.#keyAt(offset / sizes.avg) === digest.toString('latin1') ? offset : undefined;
    }
    const found = this.#offsets.get(digest.toString('latin1'));
    return found?.length === length ? found.offset : undefined;
  }

  #keyAt(number: number): string {
    const { digests } = this.#pieces;
    const at = digests.byteOffset + number * SHORT_DIGEST_LENGTH;
    return Buffer.from(digests.buffer, at, SHORT_DIGEST_LENGTH).toString('latin1');
  }
}
