/**
 * Deltas of pieces as the pieces of one result: of one file, or of several that follow each other, in
 * which copies of what an earlier one leaves become copies of the base (spec/formats/delta.md, "Several
 * deltas").
 */
import { deltaFailure } from '../../../formats/delta.ts';
import {
  decodePieceRecord,
  MAX_PIECE_PARTS,
  PART,
  PIECE_LENGTH,
  type PiecePart,
  type PieceRecord,
} from '../../../formats/delta-pieces.ts';
import { about, LimitExceeded } from '../../../formats/errors.ts';
import type { DeltaFile, DeltaRecord, PieceContent } from './delta-file.ts';

interface FoundPiece {
  readonly record: PieceRecord;
  readonly data: Uint8Array;
}

/** All pieces of a delta in order. */
async function* piecesOf(file: DeltaFile): AsyncGenerator<FoundPiece & { readonly at: number }> {
  let size = 0;
  for (const raw of file.records()) {
    const record = decoded(file, raw);
    size += record.length;
    if (size > file.end.result.size) break;
    yield { record, data: await file.dataOf(record, raw.at), at: raw.at };
  }
  if (size === file.end.result.size) return;
  throw about(file.label, deltaFailure('end', 0, 'the pieces are not as long as the result'));
}

function decoded(file: DeltaFile, { type, body, at }: Omit<DeltaRecord, 'length'>): PieceRecord {
  try {
    if (type !== 'piece') throw deltaFailure(type, at, 'a piece expected');
    return decodePieceRecord(body, at, file.end.base.size);
  } catch (error) {
    throw about(file.label, error);
  }
}

/** Finds pieces of a delta by what they hold of the result. */
class PieceMap {
  readonly #file: DeltaFile;
  readonly #starts: number[] = [];
  readonly #places: number[] = [];
  readonly #lengths: number[] = [];
  #kept: { readonly i: number; readonly piece: FoundPiece } | undefined;

  constructor(file: DeltaFile) {
    this.#file = file;
    let size = 0;
    for (const raw of file.records()) {
      this.#starts.push(size);
      this.#places.push(raw.at);
      this.#lengths.push(raw.length);
      size += decoded(file, raw).length;
    }
    if (size === file.end.result.size) return;
    throw about(file.label, deltaFailure('end', 0, 'the pieces are not as long as the result'));
  }

  /** The piece that holds a byte of the result. */
  async at(offset: number): Promise<FoundPiece & { readonly start: number }> {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    if (this.#kept?.i !== low) this.#kept = { i: low, piece: await this.#read(low) };
    return { ...this.#kept.piece, start: this.#starts[low] };
  }

  async #read(i: number): Promise<FoundPiece> {
    const [at, length] = [this.#places[i], this.#lengths[i]];
    const record = decoded(this.#file, {
      type: 'piece',
      body: this.#file.bodyAt(at, length),
      at,
    });
    return { record, data: await this.#file.dataOf(record, at) };
  }
}

/**
 * The pieces of the last result, made of what the first base has.
 * @param files each made for the result of the one before
 * @throws FormatError about one of them
 */
export async function* resolvedPieces(files: readonly DeltaFile[]): AsyncGenerator<PieceContent> {
  const maps = files.slice(0, -1).map((file) => new PieceMap(file));
  for await (const { record, data } of piecesOf(files[files.length - 1])) {
    const { length, digest, parts } = record;
    if (maps.length === 0) yield { length, digest, parts, data };
    else yield { length, digest, ...(await new Resolution(maps).resolve(parts, data)) };
  }
}

class Resolution {
  readonly #maps: readonly PieceMap[];
  readonly #parts: PiecePart[] = [];
  readonly #data = new Uint8Array(PIECE_LENGTH);
  #dataLength = 0;

  constructor(maps: readonly PieceMap[]) {
    this.#maps = maps;
  }

  async resolve(parts: readonly PiecePart[], data: Uint8Array) {
    let start = 0;
    for (const part of parts) {
      start += await this.#add(this.#maps.length, part, data.subarray(start));
    }
    return { parts: this.#parts, data: this.#data.subarray(0, this.#dataLength) };
  }

  /** @param level whose base a copy is of @returns bytes of `data` that were used */
  async #add(level: number, part: PiecePart, data: Uint8Array): Promise<number> {
    if (part.kind === PART.copy && level > 0) {
      await this.#copy(level - 1, part.offset, part.length);
      return 0;
    }
    this.#push(part);
    if (part.kind !== PART.data) return 0;
    this.#data.set(data.subarray(0, part.length), this.#dataLength);
    this.#dataLength += part.length;
    return part.length;
  }

  /** What a delta leaves at a range. */
  async #copy(level: number, from: number, length: number): Promise<void> {
    for (let offset = from; offset < from + length; ) {
      const { start, record, data } = await this.#maps[level].at(offset);
      const end = Math.min(from + length, start + record.length);
      let [at, dataAt] = [start, 0];
      for (const part of record.parts) {
        const [first, last] = [Math.max(at, offset), Math.min(at + part.length, end)];
        if (first < last) {
          const skipped = first - at;
          const shift = part.kind === PART.copy ? part.offset + skipped : 0;
          const cut = { kind: part.kind, offset: shift, length: last - first };
          await this.#add(level, cut, data.subarray(dataAt + skipped));
        }
        at += part.length;
        if (part.kind === PART.data) dataAt += part.length;
      }
      offset = end;
    }
  }

  #push(part: PiecePart): void {
    const last = this.#parts.at(-1);
    const isContinued =
      last?.kind === part.kind &&
      (part.kind !== PART.copy || last.offset + last.length === part.offset);
    if (last !== undefined && isContinued) {
      this.#parts[this.#parts.length - 1] = { ...last, length: last.length + part.length };
      return;
    }
    if (this.#parts.length === MAX_PIECE_PARTS) {
      const reason = `a piece would have more than ${MAX_PIECE_PARTS} parts`;
      throw new LimitExceeded({ step: 'compose', reason });
    }
    this.#parts.push(part);
  }
}

/** Bytes of a piece that are not at their place in the base. @param start of the piece in the result */
export function changedBytesOf({ parts }: Pick<PieceContent, 'parts'>, start: number): number {
  let [at, changed] = [start, 0];
  for (const { kind, offset, length } of parts) {
    if (kind !== PART.copy || offset !== at) changed += length;
    at += length;
  }
  return changed;
}
