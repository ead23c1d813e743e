/**
 * Deltas that take a patch back. They are complete, and on disk, before anything is overwritten
 * (spec/formats/delta.md, "Taking back").
 */
import { isSameVersion } from '../../../formats/delta.ts';
import { isCasError } from '../../../formats/errors.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { segmentsOfDescriptor } from '../../make/blob.node.ts';
import { openFileSink } from '../../make/file-sink.node.ts';
import { defaultThreadCount } from '../../work/job-pool.node.ts';
import type { OpenedDestination } from '../destination/opened-destination.ts';
import type { NewImage } from '../new-image.node.ts';
import { ChunkScan } from '../source/scan-chunks.node.ts';
import type { DeltaReader } from './delta-reader.node.ts';
import { openDelta } from './delta-sequence.node.ts';
import { DeltaWriter } from './delta-writer.node.ts';
import { compareChunks, readChunks } from './make-pieces.node.ts';

const MODE = 0o600;

export interface UndoDelta {
  /** Takes what changes back; undefined if the file is there from a run that was cut off. */
  readonly writer: DeltaWriter | undefined;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * @param path where it goes; undefined if none is wanted
 * @param isResumed whether a run was cut off, which must have made it
 */
export async function openUndo(
  path: string | undefined,
  files: readonly DeltaReader[],
  isResumed: boolean,
): Promise<UndoDelta | undefined> {
  if (path === undefined) return undefined;
  if (isResumed) {
    await expectUndo(path, files);
    return { writer: undefined, finish: async () => {}, discard: async () => {} };
  }
  const [first, last] = [files[0], files[files.length - 1]];
  const sink = await openFileSink(path, { mode: MODE });
  const writer = new DeltaWriter(sink, { ...first.header, isUndo: true });
  return {
    writer,
    async finish() {
      await writer.finish(last.end.result, first.end.base);
    },
    discard: () => writer.discard(),
  };
}

async function expectUndo(path: string, files: readonly DeltaReader[]): Promise<void> {
  const [first, last] = [files[0], files[files.length - 1]];
  try {
    const undo = await openDelta(path, undefined);
    undo.close();
    const isRight =
      isSameVersion(undo.end.base, last.end.result) &&
      isSameVersion(undo.end.result, first.end.base);
    if (isRight) return;
  } catch (error) {
    if (!isCasError(error)) throw error;
  }
  const reason = 'the run that was cut off has not made it, and what was there before is not known';
  throw new PipelineError('UNSAFE_TARGET', { subject: path, step: 'undo', reason });
}

export interface UndonePieces {
  readonly image: NewImage;
  readonly base: OpenedDestination;
  readonly threadCount?: number;
  readonly signal?: AbortSignal | undefined;
}

/** The way back from a new image to the one that it is about to replace. */
export async function undoPieces(
  path: string,
  files: readonly DeltaReader[],
  { image, base, threadCount = defaultThreadCount(), signal }: UndonePieces,
): Promise<void> {
  const [first, last] = [files[0], files[files.length - 1]];
  const { digest: name, chunkSizes } = first.header;
  if (chunkSizes === undefined || name === 'blake2b-256') throw refuseUndo(path);
  const { size } = last.end.result;
  const scan = new ChunkScan({
    ...{ chunkSizes, digest: name, threadCount },
    ...(signal ? { signal } : {}),
  });
  const sink = await openFileSink(path, { mode: MODE });
  const writer = new DeltaWriter(sink, { ...first.header, isUndo: true });
  try {
    const result = segmentsOfDescriptor(image.descriptor, { label: 'the result', size });
    const index = await readChunks(scan, result, { featureFlags: 0n, chunkSizes });
    const source = segmentsOfDescriptor(base.create(), {
      label: base.label,
      size: first.end.base.size,
    });
    const digest = createBlockDigest(name);
    const ends = await compareChunks(writer, { scan, source, base: index, digest });
    if (!isSameVersion(ends.base, last.end.result) || !isSameVersion(ends.result, first.end.base)) {
      const reason = 'base or result are not what the delta says';
      throw new PipelineError('VERIFY_FAILED', { subject: base.label, step: 'undo', reason });
    }
    await writer.finish(ends.base, ends.result);
  } finally {
    await scan.close();
    await writer.discard();
  }
}

export function refuseUndo(path: string): PipelineError {
  const reason = 'of this kind of delta no way back can be made';
  return new PipelineError('USAGE', { subject: path, step: 'undo', reason });
}
