/** The content of one open file on its way to the other side of a tree session. */
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { type ContentItem, type OldPieces, writeContent } from '../../../formats/tree-content.ts';
import { MOST_DATA } from '../../../formats/tree-session.ts';
import { throwIfAborted } from '../../errors.ts';
import { nextData } from '../../os/holes.node.ts';
import type { Breather } from '../../work/breathe.ts';
import { ContentDigest, readPiece } from './file-digest.node.ts';
import type { MessageWriter } from './messages.ts';
import { digestPiece, PieceFinder, piecesOf } from './pieces.node.ts';

export interface ContentWriting {
  readonly writer: MessageWriter;
  readonly salt: Uint8Array;
  /** {@link MOST_DATA} bytes for what is read. */
  readonly buffer: Uint8Array;
  readonly breathe: Breather;
  readonly signal?: AbortSignal | undefined;
}

export interface SentContent {
  readonly fd: number;
  readonly size: number;
  /** What the other side has of an older file. */
  readonly pieces: OldPieces | undefined;
}

/** Shorter runs of zeros are sent like everything else. */
const LEAST_HOLE = 64 * 1024;

/**
 * Sends items up to the end; `isSame` is asked before that.
 * @returns false if the file has become shorter or is not the same any more: the end is left out then
 */
export async function sendContent(
  { fd, size, pieces }: SentContent,
  writing: ContentWriting,
  isSame: () => boolean,
): Promise<boolean> {
  const run = new ContentRun(writing);
  const wasRead =
    pieces === undefined
      ? await sendWhole(run, fd, size, writing)
      : await sendDifferences(run, { fd, size, sizes: pieces.sizes, pieces }, writing);
  await run.flushCopy();
  if (!wasRead || !isSame()) return false;
  await run.item({ kind: 'end', digest: run.digest.finish() });
  return true;
}

/** Joins what lies side by side, and counts. */
class ContentRun {
  readonly digest = new ContentDigest();
  readonly #writing: ContentWriting;
  #position = 0;
  #copy: { readonly offset: number; readonly length: number } | undefined;

  constructor(writing: ContentWriting) {
    this.#writing = writing;
  }

  async data(bytes: Uint8Array): Promise<void> {
    await this.flushCopy();
    for (let start = 0; start < bytes.length; start += MOST_DATA) {
      const part = bytes.subarray(start, start + MOST_DATA);
      await this.item({ kind: 'data', bytes: part });
      this.#position += part.length;
    }
  }

  async zeros(length: number): Promise<void> {
    await this.flushCopy();
    await this.item({ kind: 'zeros', length });
    this.#position += length;
  }

  async copy(offset: number, length: number): Promise<void> {
    const before = this.#copy;
    if (before !== undefined && before.offset + before.length === offset) {
      this.#copy = { offset: before.offset, length: before.length + length };
      return;
    }
    await this.flushCopy();
    this.#copy = { offset, length };
  }

  async flushCopy(): Promise<void> {
    const copy = this.#copy;
    this.#copy = undefined;
    if (copy === undefined) return;
    await this.item({ kind: 'copy', ...copy });
    this.#position += copy.length;
  }

  async item(item: ContentItem): Promise<void> {
    const { writer } = this.#writing;
    writeContent(writer.items, item, this.#position);
    await writer.pause();
  }
}

async function sendWhole(
  run: ContentRun,
  fd: number,
  size: number,
  { buffer, breathe, signal }: ContentWriting,
): Promise<boolean> {
  for (let offset = 0; offset < size; ) {
    throwIfAborted(signal);
    const data = size < LEAST_HOLE ? offset : Math.min(size, nextData(fd, offset) ?? size);
    if (data - offset >= LEAST_HOLE) {
      run.digest.zeros(data - offset);
      await run.zeros(data - offset);
      offset = data;
      continue;
    }
    const piece = buffer.subarray(0, Math.min(MOST_DATA, size - offset));
    const length = readPiece(fd, piece, offset);
    if (length < piece.length) return false;
    run.digest.update(piece);
    await run.data(piece);
    offset += length;
    await breathe();
  }
  return true;
}

interface Differing {
  readonly fd: number;
  readonly size: number;
  readonly sizes: ChunkSizes;
  readonly pieces: OldPieces;
}

async function sendDifferences(
  run: ContentRun,
  { fd, size, sizes, pieces }: Differing,
  { salt, breathe, signal }: ContentWriting,
): Promise<boolean> {
  const finder = new PieceFinder(pieces);
  let done = 0;
  for (const { offset, bytes } of piecesOf(fd, size, sizes)) {
    throwIfAborted(signal);
    run.digest.update(bytes);
    const found = finder.find(offset, bytes.length, digestPiece(salt, bytes));
    if (found === undefined) await run.data(bytes);
    else await run.copy(found, bytes.length);
    done += bytes.length;
    await breathe();
  }
  return done === size;
}
