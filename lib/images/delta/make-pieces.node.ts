/**
 * Finds what an image has in common with a base wherever it lies: both are cut by their content. The
 * result is described front to back in pieces (spec/formats/delta.md, "Pieces").
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import type { ImageVersion } from '../../../formats/delta.ts';
import {
  PART,
  type PartKind,
  PIECE_LENGTH,
  type PiecePart,
} from '../../../formats/delta-pieces.ts';
import { rootOf } from '../../../formats/image-root.ts';
import type { SegmentSource } from '../../make/segment.ts';
import { type ProgressSink, progressOf } from '../../progress.ts';
import { WantedChunks } from '../../seed/wanted-chunks.ts';
import type { ChunkPortion, ChunkScan } from '../source/scan-chunks.node.ts';
import type { PieceContent } from './delta-file.ts';
import { changedBytesOf } from './piece-changes.ts';

/** Takes the result in order. */
export interface PieceTaker {
  /** @param changedBytes of the piece that are not at this place in the base */
  piece(piece: PieceContent, changedBytes: number): Promise<void>;
}

export interface ChunkComparison {
  readonly scan: ChunkScan;
  readonly source: SegmentSource;
  readonly base: ChunkIndex;
  readonly digest: BlockDigest;
  readonly onProgress?: ProgressSink | undefined;
}

/** The chunks of an image. */
export async function readChunks(
  scan: ChunkScan,
  source: SegmentSource,
  header: { readonly featureFlags: bigint; readonly chunkSizes: ChunkIndex['chunkSizes'] },
  onProgress?: ProgressSink,
): Promise<ChunkIndex> {
  const builder = new IndexBuilder();
  for await (const portion of scan.scan(source)) {
    for (const [i, length] of portion.lengths.entries()) {
      builder.addDigest(portion.digests, i, length);
    }
    portion.release();
    onProgress?.(progressOf('read base', builder.totalSize, source.totalBytes));
  }
  return builder.finish(header);
}

/** The name of what an index describes. */
function versionOf(index: ChunkIndex, digest: BlockDigest): ImageVersion {
  const size = index.totalSize;
  const digests = index.count === 0 ? new Uint8Array(0) : allDigests(index);
  return { size, root: rootOf(digest, { size, blockSize: 0 }, digests) };
}

function allDigests(index: ChunkIndex): Uint8Array {
  const first = index.idBytes(0);
  return new Uint8Array(first.buffer, first.byteOffset, index.count * DIGEST_LENGTH);
}

/** @returns what base and image are called */
export async function compareChunks(
  taker: PieceTaker,
  { scan, source, base, digest, onProgress }: ChunkComparison,
): Promise<{ readonly base: ImageVersion; readonly result: ImageVersion }> {
  const wanted = new WantedChunks(base);
  const pieces = new PieceAssembler(taker, digest);
  const result = new IndexBuilder();
  let next = 0;
  for await (const portion of scan.scan(source)) {
    try {
      let start = 0;
      for (const [i, length] of portion.lengths.entries()) {
        const chunkDigest = portion.digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
        result.addDigest(portion.digests, i, length);
        // What follows in the base as well is preferred: fewer and longer parts.
        const found = isChunk(base, next, chunkDigest) ? next : wanted.find(chunkDigest);
        const bytes = portion.bytes?.subarray(start, start + length);
        if (bytes === undefined) await pieces.addZeros(length);
        else if (found === undefined) await pieces.add(PART.data, 0, bytes);
        else await pieces.add(PART.copy, base.start(found), bytes);
        if (found !== undefined) next = found + 1;
        start += length;
      }
      onProgress?.(progressOf('delta', endOf(portion), source.totalBytes));
    } finally {
      portion.release();
    }
  }
  await pieces.finish();
  const { featureFlags, chunkSizes } = base;
  const index = result.finish({ featureFlags, chunkSizes });
  return { base: versionOf(base, digest), result: versionOf(index, digest) };
}

function isChunk(index: ChunkIndex, chunk: number, digest: Uint8Array): boolean {
  return chunk < index.count && equalBytes(index.idBytes(chunk), digest);
}

function endOf({ start, lengths }: ChunkPortion): number {
  return lengths.reduce((sum, length) => sum + length, start);
}

/** Puts parts together to pieces of equal length. */
class PieceAssembler {
  readonly #taker: PieceTaker;
  readonly #digest: BlockDigest;
  readonly #bytes = new Uint8Array(PIECE_LENGTH);
  readonly #data = new Uint8Array(PIECE_LENGTH);
  #parts: PiecePart[] = [];
  /** Of the piece in the result. */
  #start = 0;
  #length = 0;
  #dataLength = 0;
  #zeroPiece: Uint8Array | undefined;

  constructor(taker: PieceTaker, digest: BlockDigest) {
    this.#taker = taker;
    this.#digest = digest;
  }

  async add(kind: typeof PART.copy | typeof PART.data, from: number, bytes: Uint8Array) {
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + this.#room);
      this.#bytes.set(part, this.#length);
      if (kind === PART.data) {
        this.#data.set(part, this.#dataLength);
        this.#dataLength += part.length;
      }
      this.#extend(kind, kind === PART.copy ? from + done : 0, part.length);
      done += part.length;
      if (this.#room === 0) await this.finish();
    }
  }

  async addZeros(length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, this.#room);
      if (part < PIECE_LENGTH) this.#bytes.fill(0, this.#length, this.#length + part);
      this.#extend(PART.zeros, 0, part);
      done += part;
      if (this.#room === 0) await this.finish();
    }
  }

  /** The piece so far, if there is one. */
  async finish(): Promise<void> {
    if (this.#length === 0) return;
    const [length, parts] = [this.#length, this.#parts];
    const changed = changedBytesOf({ parts }, this.#start);
    const isZero = length === PIECE_LENGTH && parts.length === 1 && parts[0].kind === PART.zeros;
    const digest = isZero ? this.#zeroDigest() : this.#digestOf(this.#bytes.subarray(0, length));
    const data = this.#data.subarray(0, this.#dataLength);
    this.#start += length;
    this.#parts = [];
    this.#length = 0;
    this.#dataLength = 0;
    await this.#taker.piece({ length, digest, parts, data }, changed);
  }

  get #room(): number {
    return PIECE_LENGTH - this.#length;
  }

  #extend(kind: PartKind, offset: number, length: number): void {
    this.#length += length;
    const last = this.#parts.at(-1);
    const isContinued =
      last?.kind === kind && (kind !== PART.copy || last.offset + last.length === offset);
    if (last === undefined || !isContinued) this.#parts.push({ kind, offset, length });
    else this.#parts[this.#parts.length - 1] = { ...last, length: last.length + length };
  }

  #digestOf(bytes: Uint8Array): Uint8Array {
    const digest = new Uint8Array(DIGEST_LENGTH);
    this.#digest.write(bytes, digest, 0);
    return digest;
  }

  #zeroDigest(): Uint8Array {
    this.#zeroPiece ??= this.#digestOf(new Uint8Array(PIECE_LENGTH));
    return this.#zeroPiece;
  }
}
