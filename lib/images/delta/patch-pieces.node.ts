/**
 * Applies deltas of pieces: the result is written anew, each piece checked before it is written
 * (spec/formats/delta.md, "Patching").
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { PART, PIECE_LENGTH } from '../../../formats/delta-pieces.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { dataSpans } from '../../extract/sparse.node.ts';
import { progressOf } from '../../progress.ts';
import { createBreather } from '../../work/breathe.ts';
import type { BlockPlace } from './block-writer.ts';
import type { DeltaFile, PieceContent } from './delta-file.ts';
import type { PatchedBase, PatchWork, WrittenBlocks } from './patch-blocks.node.ts';
import { resolvedPieces } from './piece-changes.ts';

/**
 * Whether a file is what the deltas lead to. Damage of the last delta is found on the way.
 * @throws FormatError about a delta
 */
export async function isResult(
  base: PatchedBase,
  files: readonly DeltaFile[],
  { signal }: PatchWork,
): Promise<boolean> {
  const last = files[files.length - 1];
  if (base.size !== last.end.result.size) return false;
  const bytes = new Uint8Array(PIECE_LENGTH);
  const breathe = createBreather();
  let start = 0;
  for await (const piece of resolvedPieces([last])) {
    const here = bytes.subarray(0, piece.length);
    base.read(here, start);
    if (!isRight(last, here, piece)) return false;
    start += piece.length;
    await breathe();
    throwIfAborted(signal);
  }
  return true;
}

/**
 * Writes the result to an empty place.
 * @throws PipelineError `UNSAFE_TARGET` if the base is not what the deltas were made for; FormatError
 */
export async function writePieces(
  base: PatchedBase,
  place: BlockPlace,
  files: readonly DeltaFile[],
  { signal, onProgress }: PatchWork,
): Promise<WrittenBlocks> {
  const last = files[files.length - 1];
  const { size } = last.end.result;
  if (base.size < files[0].end.base.size) throw wrongBase(base);
  const bytes = new Uint8Array(PIECE_LENGTH);
  const breathe = createBreather();
  let [start, writtenBytes] = [0, 0];
  for await (const piece of resolvedPieces(files)) {
    const here = bytes.subarray(0, piece.length);
    assemble(here, piece, base);
    if (!isRight(last, here, piece)) throw wrongBase(base);
    for (const span of dataSpans(here, start)) {
      await place.write(here.subarray(span.start, span.end), start + span.start);
      writtenBytes += span.end - span.start;
    }
    start += piece.length;
    onProgress?.(progressOf('patch', start, size));
    await breathe();
    throwIfAborted(signal);
  }
  return { writtenBytes, holeBytes: size - writtenBytes };
}

function assemble(into: Uint8Array, { parts, data }: PieceContent, base: PatchedBase): void {
  let [start, dataStart] = [0, 0];
  for (const { kind, offset, length } of parts) {
    const part = into.subarray(start, start + length);
    if (kind === PART.copy) base.read(part, offset);
    else if (kind === PART.zeros) part.fill(0);
    else {
      part.set(data.subarray(dataStart, dataStart + length));
      dataStart += length;
    }
    start += length;
  }
}

function isRight({ digest }: DeltaFile, bytes: Uint8Array, piece: PieceContent): boolean {
  const found = new Uint8Array(DIGEST_LENGTH);
  digest.write(bytes, found, 0);
  return equalBytes(found, piece.digest);
}

function wrongBase({ label }: PatchedBase): PipelineError {
  const reason = 'it is not what the delta was made for; nothing was written';
  return new PipelineError('UNSAFE_TARGET', { subject: label, step: 'patch', reason });
}
