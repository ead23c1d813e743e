/** Opens deltas that are used together: each must have been made for what the one before leaves. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isSameVersion } from '../../../formats/delta.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { readDescriptor } from '../../make/blob.node.ts';
import { openScratchFile, scratchFolder } from '../../os/scratch-file.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { writeFully } from '../../os/write.node.ts';
import { createBreather } from '../../work/breathe.ts';
import { notFollowing } from './block-changes.ts';
import { DeltaReader } from './delta-reader.node.ts';

/** A path, or an open descriptor, which stays open. */
export type DeltaInput = string | number;

const OPEN_FOR_READING = constants.O_RDONLY | constants.O_NOCTTY;

/** @throws FormatError for what is no delta, or damaged at its begin or end; PipelineError */
export async function openDelta(
  input: DeltaInput,
  signal: AbortSignal | undefined,
): Promise<DeltaReader> {
  const label = typeof input === 'string' ? input : nameOf(input);
  const descriptor = typeof input === 'string' ? openPath(input) : input;
  if (fstatSync(descriptor).isFile() && typeof input === 'string') {
    return new DeltaReader(descriptor, label);
  }
  try {
    return new DeltaReader(await spooled(descriptor, label, signal), label);
  } finally {
    if (typeof input === 'string') closeSync(descriptor);
  }
}

/**
 * @param inputs in the order of their making
 * @throws CasError `USAGE` if they do not follow each other, and as {@link openDelta}
 */
export async function openDeltas(
  inputs: readonly DeltaInput[],
  signal: AbortSignal | undefined,
): Promise<readonly DeltaReader[]> {
  const files: DeltaReader[] = [];
  try {
    for (const input of inputs) files.push(await openDelta(input, signal));
    for (const file of files) await checkWhole(file, signal);
    for (const [i, file] of files.entries()) if (i > 0) checkPair(files[i - 1], file);
    return files;
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/** What its end says counts for nothing before all of it was seen. @throws FormatError */
async function checkWhole(file: DeltaReader, signal: AbortSignal | undefined): Promise<void> {
  const breathe = createBreather();
  for (const _ of file.records()) {
    await breathe();
    throwIfAborted(signal);
  }
}

function checkPair(before: DeltaReader, after: DeltaReader): void {
  const [a, b] = [before.header, after.header];
  const isSameKind =
    a.kind === b.kind &&
    a.digest === b.digest &&
    a.blockSize === b.blockSize &&
    JSON.stringify(a.chunkSizes) === JSON.stringify(b.chunkSizes);
  if (!isSameKind) {
    const reason = `it is of another kind than ${before.label}; apply them one after another`;
    throw new PipelineError('USAGE', { subject: after.label, reason });
  }
  if (!isSameVersion(before.end.result, after.end.base)) throw notFollowing(after.label);
}

/** Deltas are read more than once. */
async function spooled(
  from: number,
  label: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const descriptor = openScratchFile(scratchFolder());
  try {
    let length = 0;
    for await (const piece of readDescriptor(from, { label, signal })) {
      await writeFully(descriptor, piece, length);
      length += piece.length;
    }
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function openPath(path: string): number {
  try {
    return openSync(path, OPEN_FOR_READING);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function nameOf(descriptor: number): string {
  return descriptor === 0 ? 'standard input' : `descriptor ${descriptor}`;
}
