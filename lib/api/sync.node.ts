/** `sync` of the library: a file or device is brought to the content of an image (spec/api.md, "sync"). */
import type { BlockDigestName } from '../../formats/block-digest.ts';
import type { BlockRun } from '../../formats/block-table.ts';
import { hexOf } from '../../formats/bytes.ts';
import { isCasError } from '../../formats/errors.ts';
import { rootOfTable } from '../../formats/image-root.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { UndoRecorder } from '../images/delta/undo-recorder.node.ts';
import type {
  FsyncPolicy,
  ImageUpdate,
  ImageUpdateOptions,
  SizePolicy,
  SparsePolicy,
} from '../images/destination/image-update.ts';
import { openImageUpdate } from '../images/destination/update-image.node.ts';
import { keepCopy } from '../images/keep-copy.node.ts';
import { BlockRunList } from '../images/run-list.ts';
import { beginOf, type OpenedImage, sourceOf } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import type { SnapshotPolicy } from '../images/source/source-snapshot.node.ts';
import { openWatched, type WatchedImage } from '../images/source/watched-image.node.ts';
import { type SyncedImage, type SyncImageOptions, syncImage } from '../images/sync-local.node.ts';
import { verifyUpdate } from '../images/verify-written.node.ts';
import { versionBefore } from '../images/version-before.node.ts';
import { dropCached } from '../os/page-cache.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { InputOptions } from './options.ts';
import { refuseInputAsOutput } from './output.node.ts';

export interface SyncOptions extends InputOptions {
  /** Path of the file or block device that is written to. */
  readonly destination: string;
  /** `auto` (default) beside the destination, `none`, or a path. */
  readonly map?: string;
  /** Bytes of a block; by default what the map has, else a size that fits the image. */
  readonly blockSize?: number;
  /** Of a new map; default sha256. */
  readonly digest?: BlockDigestName;
  /** Read the destination, whatever its map says. */
  readonly check?: boolean;
  /** Find out what would be written, and write nothing. */
  readonly dryRun?: boolean;
  /** Where the sizes differ; default `resize` for files and `exact` for devices. */
  readonly size?: SizePolicy;
  readonly sparse?: SparsePolicy;
  /** Tell a device which blocks are zeros. */
  readonly discard?: boolean;
  /** Write to a device that is mounted or held. */
  readonly forceDevice?: boolean;
  /** Bytes written between two checkpoints; default 64 MiB. */
  readonly batch?: number;
  readonly fsync?: FsyncPolicy;
  /** Read again what was written, or all. */
  readonly verify?: 'none' | 'written' | 'full';
  /** Name of a copy of the destination that shares its blocks, made before anything is written. */
  readonly keep?: string;
  /** Read a frozen copy of the source; `auto`: if somebody has it open for writing. */
  readonly snapshot?: SnapshotPolicy;
  /** What happens if the source changes while it is read; default `fail`. */
  readonly ifSourceChanged?: 'fail' | 'warn' | { readonly retries: number };
  /** Skip what cannot be read: the destination keeps what it has there. */
  readonly onReadError?: 'fail' | 'skip';
  /** Leave the page cache to others. */
  readonly noCache?: boolean;
  /** Path of a delta that leads back to what the destination was, and appears at the end. */
  readonly undo?: string;
  /** Told in one line what the user should know; the work goes on. */
  readonly onWarning?: (text: string) => void;
}

export interface SyncResult {
  /** Bytes of the image. */
  readonly size: number;
  /** Names the version of the image that the destination has now: 64 hex digits. */
  readonly root: string;
  readonly blockSize: number;
  readonly digest: BlockDigestName;
  /** Of the map; undefined without one. */
  readonly mapPath?: string;
  /** Whether the destination was known without reading it. */
  readonly wasMapClean: boolean;
  readonly changedBlocks: number;
  readonly changedBytes: number;
  /** Bytes that were written. */
  readonly writtenBytes: number;
  /** Bytes of zeros that became holes. */
  readonly holeBytes: number;
  /** Bytes read of the source, and of the destination. */
  readonly sourceReadBytes: number;
  readonly destinationReadBytes: number;
  /** Bytes of the source that could not be read and were skipped. */
  readonly unreadableBytes: number;
  /** What changed in the source while it was read, in words. */
  readonly sourceChange?: string;
  /** How often the source was read from its begin. */
  readonly passCount: number;
  /** Path of the copy that was kept. */
  readonly kept?: string;
  readonly isDryRun: boolean;
  readonly totalMs: number;
}

const DEFAULT_RETRIES = 0;

/**
 * Writes what the destination lacks, and nothing else. When it resolves everything is on disk, the
 * destination has what was read of the source, and its map says so.
 * @throws CasError `SOURCE_CHANGED` if the source changed while it was read: the destination has what
 * was read then; `TARGET_FULL` if the sizes do not fit, `UNSAFE_TARGET` if the destination is in use or is
 * not the one that the map describes, `VERIFY_FAILED`, `USAGE`, `ABORTED`
 */
export async function sync(options: SyncOptions): Promise<SyncResult> {
  const started = performance.now();
  const { ifSourceChanged = 'fail', input, signal } = options;
  const asked = typeof ifSourceChanged === 'object' ? ifSourceChanged.retries : DEFAULT_RETRIES;
  // Of a stream there is no second time.
  const retries = typeof input === 'string' ? asked : DEFAULT_RETRIES;
  refuseInputAsOutput(options.destination, [input]);
  for (const path of [options.undo, options.map]) {
    refuseInputAsOutput(path, [input, options.destination]);
  }
  try {
    for (let pass = 1; ; pass++) {
      const isLast = pass > retries;
      const result = await syncOnce(options, pass, isLast);
      if (result === undefined) continue;
      if (result.sourceChange === undefined || isLast) {
        refuseChange(result, options);
        return { ...result, totalMs: performance.now() - started };
      }
      options.onWarning?.(`${labelOf(options)}: ${result.sourceChange}; it is read again`);
    }
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}

/** @returns undefined if the source could not be read to its end, and another pass may do better */
async function syncOnce(
  options: SyncOptions,
  pass: number,
  isLast: boolean,
): Promise<SyncResult | undefined> {
  try {
    return await new Sync(options, pass).run();
  } catch (error) {
    if (isLast || !isCasError(error) || error.code !== 'SOURCE_CHANGED') throw error;
    options.onWarning?.(`${error.message}; it is read again`);
    return undefined;
  }
}

function labelOf({ input, label }: SyncOptions): string {
  return label ?? (typeof input === 'string' ? input : 'the source');
}

/** What was read is of different times; nobody may take it for the source. */
function refuseChange({ sourceChange, isDryRun }: SyncResult, options: SyncOptions): void {
  if (sourceChange === undefined) return;
  const { ifSourceChanged = 'fail', destination } = options;
  const state = isDryRun
    ? 'the figures are of both'
    : `${destination} has what was read, and its map says so; run it again`;
  const reason = `${sourceChange}; ${state}`;
  if (ifSourceChanged === 'warn') {
    options.onWarning?.(`${labelOf(options)}: ${reason}`);
    return;
  }
  throw new PipelineError('SOURCE_CHANGED', { subject: labelOf(options), step: 'sync', reason });
}

/** One pass over the source. */
class Sync {
  readonly #options: SyncOptions;
  readonly #pass: number;
  readonly #written = new BlockRunList();
  readonly #threadCount: number;
  #undo: UndoRecorder | undefined;

  constructor(options: SyncOptions, pass: number) {
    this.#options = options;
    this.#pass = pass;
    this.#threadCount = options.threadCount ?? defaultThreadCount();
  }

  async run(): Promise<SyncResult> {
    const watched = await openWatched(this.#options.input, this.#options);
    try {
      return await this.#update(watched);
    } finally {
      watched.image.close();
    }
  }

  async #update({ image, sourceChange }: WatchedImage): Promise<SyncResult> {
    const { destination, keep, dryRun = false } = this.#options;
    const source = await sourceOf(image);
    const update = await openImageUpdate(destination, this.#updateOptions(source.size));
    const scan = this.#openScan(update);
    let undo: UndoRecorder | undefined;
    try {
      const { isMapClean } = update;
      const kept =
        keep === undefined || dryRun || update.destination.isNew
          ? undefined
          : await keepCopy(update.destination.path, keep);
      await update.readDestination();
      undo = await this.#openUndo(update, scan);
      const { size = source.size } = update;
      const isWhole = size === undefined || size === source.size;
      const taken = isWhole ? source : beginOf(source, size);
      const synced = await syncImage(taken, scan, update, this.#syncOptions(image));
      const finished = dryRun ? undefined : await update.finish(synced.size);
      if (finished !== undefined) {
        await undo?.finish(update.known);
        await this.#verify(update, scan);
      }
      const change = sourceChange();
      return {
        ...countsOf(synced, update),
        root: hexOf(finished?.root ?? rootOfKnown(update, synced.size)),
        wasMapClean: isMapClean,
        writtenBytes: finished?.writtenBytes ?? 0,
        holeBytes: finished?.holeBytes ?? 0,
        ...(change === undefined ? {} : { sourceChange: change }),
        ...(kept === undefined ? {} : { kept }),
        passCount: this.#pass,
        isDryRun: dryRun,
        totalMs: 0,
      };
    } finally {
      undo?.discard();
      await scan.close();
      await update.abandon();
    }
  }

  /** @returns undefined if nothing is to be kept */
  async #openUndo(update: ImageUpdate, scan: BlockScan): Promise<UndoRecorder | undefined> {
    const { undo, dryRun = false } = this.#options;
    if (undo === undefined || dryRun) return undefined;
    const before = await versionBefore(update, scan);
    const { blockSize, digest } = update;
    this.#undo = new UndoRecorder(undo, { blockSize, digest, before });
    return this.#undo;
  }

  #updateOptions(size: number | undefined): ImageUpdateOptions {
    const { map, blockSize, digest, check, dryRun, sparse, discard, forceDevice } = this.#options;
    const { batch, fsync, noCache, undo, onWarning, signal, onProgress } = this.#options;
    return {
      size,
      sizePolicy: this.#options.size,
      blockSize,
      digest,
      batch,
      fsync,
      signal,
      isDryRun: dryRun ?? false,
      threadCount: this.#threadCount,
      ...(map === undefined ? {} : { map }),
      ...(check === undefined ? {} : { check }),
      ...(sparse === undefined ? {} : { sparse }),
      ...(discard === undefined ? {} : { discard }),
      ...(forceDevice === undefined ? {} : { forceDevice }),
      ...(noCache === undefined ? {} : { noCache }),
      ...(undo === undefined ? {} : { onUndo: async (run, bytes) => this.#undo?.add(run, bytes) }),
      ...(onWarning === undefined ? {} : { onWarning }),
      ...(onProgress === undefined
        ? {}
        : { onRead: (bytes) => onProgress(progressOf('read destination', bytes, size)) }),
    };
  }

  #openScan({ blockSize, digest }: ImageUpdate): BlockScan {
    const { onReadError, signal } = this.#options;
    return new BlockScan({
      ...{ blockSize, digest, threadCount: this.#threadCount },
      skipsUnreadable: onReadError === 'skip',
      ...(signal ? { signal } : {}),
    });
  }

  #syncOptions({ descriptor, kind }: OpenedImage): SyncImageOptions {
    const { dryRun, noCache = false, verify, onProgress, onWarning } = this.#options;
    return {
      isDryRun: dryRun ?? false,
      onProgress,
      ...(verify === 'written' ? { onChange: (run: BlockRun) => this.#written.add(run) } : {}),
      onUnreadable: ({ first, count }) => {
        onWarning?.(
          `${labelOf(this.#options)}: ${count} blocks from block ${first} on are unreadable`,
        );
      },
      ...(noCache && descriptor !== undefined && kind !== 'stream'
        ? { onPassed: (offset: number, length: number) => dropCached(descriptor, offset, length) }
        : {}),
    };
  }

  async #verify(update: ImageUpdate, scan: BlockScan): Promise<void> {
    const { verify = 'none', onProgress } = this.#options;
    if (verify === 'none') return;
    const runs = verify === 'written' ? { runs: this.#written } : {};
    await verifyUpdate(update, scan, { ...runs, onProgress });
  }
}

function countsOf(synced: SyncedImage, update: ImageUpdate) {
  const { size, changedBlocks, changedBytes, readBytes, unreadableBytes } = synced;
  const { blockSize, digest, mapPath, readBytes: destinationReadBytes } = update;
  return {
    ...{ size, changedBlocks, changedBytes, unreadableBytes, blockSize, digest },
    ...(mapPath === undefined ? {} : { mapPath }),
    sourceReadBytes: readBytes,
    destinationReadBytes,
  };
}

/** Of what the destination would have. */
function rootOfKnown({ known, digest }: ImageUpdate, size: number): Uint8Array {
  known.resize(size);
  return rootOfTable(createBlockDigest(digest), known);
}
