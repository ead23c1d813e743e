/** `patch` of the library: deltas are applied to an image, in place or to a new file (spec/api.md, "patch"). */
import { rmSync } from 'node:fs';
import { PipelineError, throwIfAborted } from '../errors.ts';
import type { DeltaReader } from '../images/delta/delta-reader.node.ts';
import { type DeltaInput, openDelta, openDeltas } from '../images/delta/delta-sequence.node.ts';
import { type BaseState, checkBase, writeChanges } from '../images/delta/patch-blocks.node.ts';
import { isResult, writePieces } from '../images/delta/patch-pieces.node.ts';
import { hasBmap, SparseImage } from '../images/delta/patch-sparse.node.ts';
import { identityOf, PatchState } from '../images/delta/patch-state.node.ts';
import { openUndo, refuseUndo, undoPieces } from '../images/delta/undo.node.ts';
import { openDestination } from '../images/destination/destination.node.ts';
import { mapPathOf } from '../images/destination/map-place.node.ts';
import type { OpenedDestination } from '../images/destination/opened-destination.ts';
import { NewImage } from '../images/new-image.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { type VersionName, versionName } from './delta.node.ts';
import { refuseInputAsOutput } from './output.node.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface PatchOptions extends WorkOptions {
  /** Path of the file or block device that the first delta was made for. */
  readonly base: string;
  /**
   * Paths or descriptors, in the order of their making; at least one. A path may also be of a sparse
   * file with a block map (`.bmap`) beside it; then it stands alone.
   */
  readonly deltas: readonly DeltaInput[];
  /** Path of the result; by default the base itself. */
  readonly output?: string;
  /** Path of a delta that takes it all back, complete before the first write. */
  readonly undo?: string;
  /** The deltas take changes back: only such ones are taken, the last one first. */
  readonly reverse?: boolean;
  /** Write to a device that is mounted or held. */
  readonly forceDevice?: boolean;
  /** Told in one line what the user should know; the work goes on. */
  readonly onWarning?: (text: string) => void;
}

export interface PatchResult {
  /** Undefined for block maps of other programs. */
  readonly base?: VersionName;
  readonly result?: VersionName;
  /** Whether the base was the result already; nothing was written then. */
  readonly wasPatched: boolean;
  /** Whether a run that was cut off has been completed. */
  readonly wasResumed: boolean;
  readonly writtenBytes: number;
  /** Bytes of zeros that became holes. */
  readonly holeBytes: number;
  readonly totalMs: number;
}

type Patched = Omit<PatchResult, 'totalMs'>;

const MODE = 0o666;
const NOTHING = { writtenBytes: 0, holeBytes: 0, wasResumed: false };

/**
 * Everything is checked before the first write. A run that was cut off is completed by the same call; a
 * base that is patched already stays as it is.
 * @throws CasError `UNSAFE_TARGET` if the base is not the one of the deltas, or a device in use; nothing was
 * written then. `FORMAT` for a damaged delta, likewise; `TARGET_FULL`, `USAGE`, `ABORTED`, `IO`
 */
export async function patch(options: PatchOptions): Promise<PatchResult> {
  const started = performance.now();
  try {
    const patched = await patchOnce(options);
    return { ...patched, totalMs: performance.now() - started };
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  }
}

async function patchOnce(options: PatchOptions): Promise<Patched> {
  const { deltas, reverse = false, signal } = options;
  if (deltas.length === 0) throw new PipelineError('USAGE', { reason: 'Expected a delta.' });
  refuseInputAsOutput(options.output, deltas);
  refuseInputAsOutput(options.undo, [options.base, options.output, ...deltas]);
  const [first] = deltas;
  const isSparse = typeof first === 'string' && hasBmap(first.replace(/\.bmap$/, ''));
  if (isSparse && !(await isDeltaFile(first, signal))) return patchSparse(first, options);
  const files = await openDeltas(reverse ? [...deltas].reverse() : deltas, signal);
  try {
    const forward = files.find(({ header }) => !header.isUndo);
    if (reverse && forward !== undefined) {
      const reason = 'it does not hold what was there before; --reverse takes what --undo has made';
      throw new PipelineError('USAGE', { subject: forward.label, reason });
    }
    const isBlocks = files[0].header.kind === 'blocks';
    const patched = await (isBlocks ? patchBlocks : patchPieces)(files, options);
    const ends = {
      base: versionName(files[0].end.base),
      result: versionName(files[files.length - 1].end.result),
    };
    return { ...ends, ...patched };
  } finally {
    for (const file of files) file.close();
  }
}

async function isDeltaFile(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    (await openDelta(path, signal)).close();
    return true;
  } catch {
    return false;
  }
}

/** @param size bytes that there must be room for on a device */
function openBase(options: PatchOptions, size: number): OpenedDestination {
  const { base, output, forceDevice = false } = options;
  const destination = openDestination(localPath(base), {
    size,
    sizePolicy: 'common',
    forceDevice,
    isDryRun: output !== undefined,
  });
  if (!destination.isNew) return destination;
  destination.close();
  throw systemFailure('open', 'ENOENT', base);
}

async function patchBlocks(files: readonly DeltaReader[], options: PatchOptions): Promise<Patched> {
  const { output, signal, onProgress } = options;
  const last = files[files.length - 1];
  const base = openBase(options, last.end.result.size);
  try {
    const state = output === undefined ? new PatchState(base, identityOf(files)) : undefined;
    const isResumed = state?.isResumed ?? false;
    const undo = await openUndo(options.undo, files, isResumed);
    try {
      const found = await checkBase(base, files, { isResumed, undo: undo?.writer, signal });
      if (isNothingToDo(found) && output === undefined) {
        await state?.end();
        return { ...NOTHING, wasPatched: true };
      }
      await undo?.finish();
      const work = { signal, onProgress };
      const write = (place: OpenedDestination | NewImage) => writeChanges(place, files, work);
      return await writeTo(base, { state, size: last.end.result.size, options, write });
    } finally {
      await undo?.discard();
    }
  } finally {
    base.close();
  }
}

function isNothingToDo({ pendingBlocks, isResized }: BaseState): boolean {
  return pendingBlocks === 0 && !isResized;
}

interface Writing {
  /** Undefined if the result goes elsewhere. */
  readonly state: PatchState | undefined;
  /** Bytes of the result. */
  readonly size: number;
  readonly options: PatchOptions;
  readonly write: (
    place: OpenedDestination | NewImage,
  ) => Promise<Pick<Patched, 'writtenBytes' | 'holeBytes'>>;
}

async function writeTo(base: OpenedDestination, writing: Writing): Promise<Patched> {
  const { state, size, options, write } = writing;
  if (state === undefined) return writeElsewhere(base, writing);
  await state.begin();
  forgetMap(base, options);
  const counts = await write(base);
  if (base.kind === 'file') base.resize(size);
  await base.sync();
  await state.end();
  return { ...counts, wasPatched: false, wasResumed: state.isResumed };
}

async function writeElsewhere(
  base: OpenedDestination,
  { size, options, write }: Writing,
): Promise<Patched> {
  const image = new NewImage(localPath(options.output ?? ''), MODE);
  try {
    image.copyFrom(base.create(), base.kind === 'file' ? base.size : size, base.kind === 'file');
    const counts = await write(image);
    image.resize(size);
    await image.commit();
    return { ...counts, wasPatched: false, wasResumed: false };
  } finally {
    image.discard();
  }
}

/** Nothing tells a device that was written to from one that was not, once the machine has been restarted. */
function forgetMap(base: OpenedDestination, { onWarning }: PatchOptions): void {
  if (base.kind === 'file') return;
  const path = mapPathOf('auto', base);
  if (path === undefined) return;
  try {
    rmSync(`${path}.state`);
    rmSync(path);
  } catch {
    return;
  }
  onWarning?.(`${base.label}: its map is forgotten, and the next sync reads the device`);
}

async function patchPieces(files: readonly DeltaReader[], options: PatchOptions): Promise<Patched> {
  const { output, signal, onProgress } = options;
  const work = { signal, onProgress };
  const last = files[files.length - 1];
  const base = openBase({ ...options, output: output ?? options.base }, last.end.result.size);
  try {
    if (output === undefined && base.kind === 'device') {
      const reason =
        'content moves within the image, which is possible for files only; use -o FILE';
      throw new PipelineError('USAGE', { subject: base.label, reason });
    }
    const isPatched = output === undefined && (await isResult(base, files, work));
    if (isPatched) return { ...NOTHING, wasPatched: true };
    const image = new NewImage(output === undefined ? base.path : localPath(output), MODE);
    try {
      const counts = await writePieces(base, image, files, work);
      image.resize(last.end.result.size);
      if (options.undo !== undefined)
        await undoPieces(options.undo, files, { ...options, image, base });
      await image.commit();
      return { ...counts, wasPatched: false, wasResumed: false };
    } finally {
      image.discard();
    }
  } finally {
    base.close();
  }
}

async function patchSparse(path: string, options: PatchOptions): Promise<Patched> {
  const { deltas, output, reverse = false, undo, signal, onProgress } = options;
  if (deltas.length > 1 || reverse) {
    const reason = 'a sparse file with a block map stands alone';
    throw new PipelineError('USAGE', { subject: path, reason });
  }
  if (undo !== undefined) throw refuseUndo(path);
  const sparse = new SparseImage(path.replace(/\.bmap$/, ''));
  try {
    const { imageSize, delta } = sparse.bmap;
    const base = openBase(options, imageSize);
    try {
      const state = output === undefined ? new PatchState(base, identityOf([sparse])) : undefined;
      const pending = await sparse.check(base, state?.isResumed ?? false, { signal });
      const isResized = base.kind === 'file' && base.size !== imageSize;
      const ends = delta && {
        base: { size: delta.baseSize, root: delta.baseRoot },
        result: { size: imageSize, root: delta.resultRoot },
      };
      if (pending === 0 && !isResized && output === undefined) {
        await state?.end();
        return { ...ends, ...NOTHING, wasPatched: true };
      }
      const write = (place: OpenedDestination | NewImage) =>
        sparse.write(place, { signal, onProgress });
      return { ...ends, ...(await writeTo(base, { state, size: imageSize, options, write })) };
    } finally {
      base.close();
    }
  } finally {
    sparse.close();
  }
}
