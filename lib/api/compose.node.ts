/** `compose` of the library: one delta that does what several do (spec/api.md, "compose"). */
import { throwIfAborted } from '../errors.ts';
import { changesOf } from '../images/delta/block-changes.ts';
import type { DeltaReader } from '../images/delta/delta-reader.node.ts';
import { type DeltaInput, openDeltas } from '../images/delta/delta-sequence.node.ts';
import { DeltaWriter } from '../images/delta/delta-writer.node.ts';
import { changedBytesOf, resolvedPieces } from '../images/delta/piece-changes.ts';
import { progressOf } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';
import { type DeltaResult, versionName } from './delta.node.ts';
import type { PlaceOptions } from './options.ts';
import { openOutput, refuseInputAsOutput } from './output.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface ComposeOptions extends WorkOptions, PlaceOptions {
  /** Paths or descriptors, in the order of their making; at least one. */
  readonly deltas: readonly DeltaInput[];
  /** Path of the delta, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
}

/**
 * Neither base nor result is needed. What later deltas overwrite is left out.
 * @throws CasError `USAGE` if the deltas do not follow each other, `FORMAT`, `ABORTED`
 */
export async function compose(options: ComposeOptions): Promise<DeltaResult> {
  const started = performance.now();
  const { deltas, signal } = options;
  refuseInputAsOutput(options.output, deltas);
  const files = await openDeltas(deltas, signal);
  try {
    const [first, last] = [files[0], files[files.length - 1]];
    const { header } = first;
    const isUndo = files.every((file) => file.header.isUndo);
    const writer = new DeltaWriter(await openOutput(options), { ...header, isUndo });
    try {
      await (header.kind === 'blocks' ? composeBlocks : composePieces)(files, writer, options);
      const end = await writer.finish(first.end.base, last.end.result);
      return {
        chunking: header.kind === 'blocks' ? 'fixed' : 'cdc',
        base: versionName(end.base),
        result: versionName(end.result),
        changedBytes: end.changedBytes,
        dataBytes: end.dataBytes,
        deltaBytes: writer.writtenBytes,
        totalMs: performance.now() - started,
      };
    } finally {
      await writer.discard();
    }
  } finally {
    for (const file of files) file.close();
  }
}

async function composeBlocks(
  files: readonly DeltaReader[],
  writer: DeltaWriter,
  { signal, onProgress }: WorkOptions,
): Promise<void> {
  const { size } = files[files.length - 1].end.result;
  const { blockSize } = writer.header;
  const breathe = createBreather();
  for await (const change of changesOf(files, { hasBytes: true })) {
    const start = change.block * blockSize;
    const length = Math.max(0, Math.min(blockSize, size - start));
    await writer.change(change, length);
    onProgress?.(progressOf('compose', start + length, size));
    await breathe();
    throwIfAborted(signal);
  }
}

async function composePieces(
  files: readonly DeltaReader[],
  writer: DeltaWriter,
  { signal, onProgress }: WorkOptions,
): Promise<void> {
  const { size } = files[files.length - 1].end.result;
  const breathe = createBreather();
  let start = 0;
  for await (const piece of resolvedPieces(files)) {
    await writer.piece(piece, changedBytesOf(piece, start));
    start += piece.length;
    onProgress?.(progressOf('compose', start, size));
    await breathe();
    throwIfAborted(signal);
  }
}
