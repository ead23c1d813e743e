/**
 * Records of pieces in a delta: the result front to back, each piece made of parts of the base, zeros
 * and bytes of its own, with one digest (spec/formats/delta.md, "Pieces").
 */
import { DIGEST_LENGTH } from './block-digest.ts';
import { readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { DELTA_ENCODING, deltaFailure } from './delta.ts';

const PARTS_AT = 16 + DIGEST_LENGTH;
const PART_LENGTH = 16;
/** Longest piece, in bytes. */
export const PIECE_LENGTH = 4 * 1024 * 1024;
/** Most parts of a piece. */
export const MAX_PIECE_PARTS = 262_144;

/** Where the bytes of a part come from. */
export const PART = { copy: 0, data: 1, zeros: 2 } as const;
export type PartKind = (typeof PART)[keyof typeof PART];

export interface PiecePart {
  readonly kind: PartKind;
  /** In the base, of a copy; else 0. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
}

export interface PieceRecord {
  /** Bytes of the result. */
  readonly length: number;
  /** Of these bytes, 32 bytes. */
  readonly digest: Uint8Array;
  readonly parts: readonly PiecePart[];
  /** Bytes of parts that hold their own, plain. */
  readonly dataLength: number;
  readonly isCompressed: boolean;
  readonly stored: Uint8Array;
}

/** The body as parts. */
export function encodePieceRecord(record: PieceRecord): readonly Uint8Array[] {
  const head = new Uint8Array(PARTS_AT + record.parts.length * PART_LENGTH);
  writeU32(head, 0, record.length);
  writeU32(head, 4, record.parts.length);
  writeU32(head, 8, record.isCompressed ? DELTA_ENCODING.zstd : DELTA_ENCODING.plain);
  writeU32(head, 12, record.dataLength);
  head.set(record.digest, 16);
  for (const [i, part] of record.parts.entries()) {
    const offset = PARTS_AT + i * PART_LENGTH;
    writeU64(head, offset, part.offset);
    writeU32(head, offset + 8, part.length);
    writeU32(head, offset + 12, part.kind);
  }
  return [head, record.stored];
}

/**
 * @param body in place
 * @param at its offset in the file, for messages
 * @param baseSize bytes of the base
 * @throws FormatError
 */
export function decodePieceRecord(body: Uint8Array, at: number, baseSize: number): PieceRecord {
  const fail = (offset: number, expectation: string) =>
    deltaFailure('piece', at + offset, expectation);
  if (body.length < PARTS_AT) throw fail(body.length, 'the record ends early');
  const [length, partCount, encoding, dataLength] = [0, 4, 8, 12].map((i) => readU32(body, i));
  if (length === 0 || length > PIECE_LENGTH)
    throw fail(0, `pieces have 1 to ${PIECE_LENGTH} bytes`);
  if (partCount > MAX_PIECE_PARTS) throw fail(4, `pieces have at most ${MAX_PIECE_PARTS} parts`);
  if (encoding > DELTA_ENCODING.zstd) throw fail(8, 'unknown encoding');
  if (encoding === DELTA_ENCODING.zstd && dataLength === 0) throw fail(8, 'nothing is compressed');
  const storedAt = PARTS_AT + partCount * PART_LENGTH;
  if (body.length < storedAt) throw fail(body.length, 'the record ends early');
  const parts: PiecePart[] = [];
  let [total, data] = [0, 0];
  for (let offset = PARTS_AT; offset < storedAt; offset += PART_LENGTH) {
    const part = decodePart(body, offset, baseSize, (expectation) => fail(offset, expectation));
    total += part.length;
    if (part.kind === PART.data) data += part.length;
    parts.push(part);
  }
  if (total !== length) throw fail(0, 'length of parts differs');
  const stored = body.subarray(storedAt);
  const isCompressed = encoding === DELTA_ENCODING.zstd;
  if (data !== dataLength) throw fail(12, 'length of data differs');
  if (!isCompressed && stored.length !== dataLength) throw fail(12, 'length of data differs');
  return { length, digest: body.subarray(16, PARTS_AT), parts, dataLength, isCompressed, stored };
}

function decodePart(
  body: Uint8Array,
  at: number,
  baseSize: number,
  fail: (expectation: string) => Error,
): PiecePart {
  const offset = readSize(body, at);
  const length = readU32(body, at + 8);
  const kind = readU32(body, at + 12);
  if (length === 0) throw fail('a part without bytes');
  if (kind > PART.zeros) throw fail('unknown kind of a part');
  const isRight = kind === PART.copy ? offset + length <= baseSize : offset === 0;
  if (!isRight) throw fail('a part does not lie in the base');
  return { kind: kind as PartKind, offset, length };
}
