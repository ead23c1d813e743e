/** `make` of the library: an archive, an archive index or a blob index (spec/api.md, "make"). */
import { dirname, resolve } from 'node:path';
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { type ChunkSizes, DEFAULT_CHUNK_SIZES } from '../../formats/chunk-sizes.ts';
import { ALL_FEATURES } from '../../formats/feature-flags.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { createDigest } from '../digest/digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { segmentsOfFile } from '../make/blob.node.ts';
import type { ByteSink } from '../make/byte-sink.ts';
import { makeCachedIndex } from '../make/cached-index.node.ts';
import { featuresOfFileSystem } from '../make/file-system-features.ts';
import { writeStream } from '../make/make.ts';
import { type PackTreeOptions, packTree } from '../make/pack-tree.node.ts';
import { type SegmentSource, segmentsOfStream } from '../make/segment.ts';
import { makeIndex, StreamStorer } from '../make/store-stream.node.ts';
import type { MakeStatistics } from '../statistics.ts';
import { defaultThreadCount, openJobPool } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { type EntryEvents, entriesThenFeatures } from './entries.ts';
import { digestNameOf, recordedFlags } from './features.ts';
import { walkOptions } from './folder.node.ts';
import { type OpenedFile, type OpenedInput, openInput, piecesOf } from './input.node.ts';
import { kindOfPath, type MadeKind } from './kinds.ts';
import type { FolderOptions, InputOptions, StoreOptions } from './options.ts';
import { openOutput, refuseInputAsOutput } from './output.node.ts';
import { describeStoreForWriting, localPath, mainStore, remotePlace } from './stores.node.ts';

export interface MakeOptions extends InputOptions, StoreOptions, FolderOptions, EntryEvents {
  /** Path, URL or ssh locator of what is made, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
  /** By default what the suffix of the output says; else an archive of a folder, an index of a blob. */
  readonly kind?: MadeKind;
  /** Default 16 KiB, 64 KiB and 256 KiB. */
  readonly chunkSizes?: ChunkSizes;
  /** Default buzhash, the only one that casync 2 has. */
  readonly chunker?: ChunkerName;
  /**
   * For an index of a folder: a folder that remembers what was read, so that it need not be read again.
   * It is made if it is missing, and leaves itself out of archives. Without effect on everything else.
   */
  readonly cache?: string;
  /** Told why nothing could be remembered; the index is complete all the same. */
  readonly onCacheFailure?: (error: unknown) => void;
}

export interface MakeResult {
  readonly kind: MadeKind;
  /** Of the whole archive or blob; undefined where a cache spared us to read all of it. */
  readonly digest?: ChunkId;
  /** What the archive or index says of itself. */
  readonly featureFlags: bigint;
  /** Selected features that no file system met on the way can hold. */
  readonly inapplicableFeatures: bigint;
  /** False if something changed or vanished while it was read. */
  readonly isComplete: boolean;
  readonly statistics: MakeStatistics;
}

/** Fewer batches of entries than this are not worth a thread. */
const FEW_BATCHES = 8;

/**
 * Makes an archive or an index with its chunks. The output appears when it is complete and on disk; an
 * older one stays until then.
 * @throws CasError `USAGE` where kind and input do not fit, `ABORTED`, and what reading and storing throw
 */
export async function make(options: MakeOptions): Promise<MakeResult> {
  const started = performance.now();
  const input = openInput(options);
  try {
    const making = new Making(input, options, kindToMake(input, options));
    const made = await making.run();
    const totalMs = performance.now() - started;
    return { ...made, statistics: { ...made.statistics, totalMs } };
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  } finally {
    input.close();
  }
}

/** @throws PipelineError `USAGE` if the input cannot be made into what is wanted */
function kindToMake(input: OpenedInput, { kind, output }: MakeOptions): MadeKind {
  const wanted = kind ?? kindOfPath(output);
  const isFolder = input.form === 'file' && input.stats.isDirectory();
  const refuse = (reason: string) => new PipelineError('USAGE', { subject: input.label, reason });
  if (isFolder && wanted === 'blob-index') {
    throw refuse('Input is a directory, but attempted to make blob index. Refusing.');
  }
  if (isFolder) return wanted ?? 'archive';
  if (wanted === 'archive' || wanted === 'archive-index') {
    throw refuse(
      'Input is a regular file or block device, but attempted to make a directory archive. Refusing.',
    );
  }
  return 'blob-index';
}

/** One call of `make`. */
class Making {
  readonly #input: OpenedInput;
  readonly #options: MakeOptions;
  readonly #kind: MadeKind;
  readonly #threadCount: number;
  readonly #featureFlags: bigint;
  /** What the file systems met so far can hold. */
  #covered = 0n;
  #isComplete = true;

  constructor(input: OpenedInput, options: MakeOptions, kind: MadeKind) {
    this.#input = input;
    this.#options = options;
    this.#kind = kind;
    this.#threadCount = options.threadCount ?? defaultThreadCount();
    this.#featureFlags = recordedFlags(options, kind === 'blob-index' ? 0n : ALL_FEATURES);
  }

  async run(): Promise<MakeResult> {
    const { digest, ...statistics } = await this.#make();
    return {
      kind: this.#kind,
      digest,
      featureFlags: this.#featureFlags,
      inapplicableFeatures: this.#featureFlags & ALL_FEATURES & ~this.#covered,
      isComplete: this.#isComplete,
      statistics: { ...statistics, totalMs: 0 },
    };
  }

  #make(): Promise<Made> {
    const { cache } = this.#options;
    if (this.#kind === 'archive') return this.#makeArchive();
    if (this.#kind === 'archive-index' && cache !== undefined) return this.#makeWithCache(cache);
    return this.#makeIndex();
  }

  async #makeArchive(): Promise<Made> {
    const { signal, onProgress } = this.#options;
    const pool = openJobPool({}, this.#threadCount);
    try {
      const pieces = this.#archive(pool);
      const digest = createDigest(digestNameOf(this.#options));
      const sink = await this.#openSink();
      const written = await writeStream(pieces, sink, { digest, signal, onProgress });
      return { digest: written.digest, archiveBytes: written.length };
    } finally {
      await pool.close();
    }
  }

  #storing() {
    const { chunkSizes = DEFAULT_CHUNK_SIZES, chunker } = this.#options;
    const { signal, onProgress, onWait } = this.#options;
    const digest = digestNameOf(this.#options);
    return {
      store: describeStoreForWriting(this.#options, this.#outputPath(), digest),
      header: { featureFlags: this.#featureFlags, chunkSizes },
      chunker,
      threadCount: this.#threadCount,
      signal,
      onProgress,
      onWait,
    };
  }

  async #makeWithCache(cache: string): Promise<Made> {
    const { descriptor } = this.#input as OpenedFile;
    const { index, reusedChunkCount, statistics } = await makeCachedIndex(
      descriptor,
      await this.#openSink(),
      {
        ...this.#storing(),
        walk: this.#walk(),
        cache,
        onCacheFailure: (error) => this.#options.onCacheFailure?.(error),
      },
    );
    return { ...countsOf(index, reusedChunkCount), cache: statistics };
  }

  async #makeIndex(): Promise<Made> {
    const storer = new StreamStorer(this.#storing());
    try {
      const source =
        this.#kind === 'archive-index'
          ? segmentsOfStream(this.#archive(storer.pool))
          : this.#blob();
      const { index, digest, reusedChunkCount } = await makeIndex(
        source,
        storer,
        await this.#openSink(),
      );
      return { digest, ...countsOf(index, reusedChunkCount) };
    } finally {
      await storer.close();
    }
  }

  /** The bytes of the archive of a folder, whose files are read where `pool` says. */
  #archive(pool: JobPool): AsyncIterable<Uint8Array> {
    let batchCount = 0;
    return packTree((this.#input as OpenedFile).descriptor, this.#walk(), (batch) => {
      batchCount += 1;
      if (batchCount === FEW_BATCHES) pool.start();
      return pool.run('packEntries', batch);
    });
  }

  #walk(): PackTreeOptions {
    const isOurs = this.#changedByUs();
    const reading = {
      ...this.#options,
      onIncomplete: (label: string, reason: string) => {
        if (!isOurs(label)) this.#report(label, reason);
      },
    };
    const onFileSystem = (type: number): void => {
      this.#covered |= featuresOfFileSystem(type);
    };
    const onEntry = entriesThenFeatures(this.#options, this.#featureFlags);
    const events = onEntry === undefined ? { onFileSystem } : { onFileSystem, onEntry };
    return walkOptions(this.#input as OpenedFile, reading, events);
  }

  /** What is cut into chunks, if it is a blob. */
  #blob(): SegmentSource {
    const input = this.#input;
    this.#options.onFeatures?.(this.#featureFlags);
    if (input.form !== 'file') return segmentsOfStream(piecesOf(input));
    const { descriptor, label } = input;
    const onIncomplete = (subject: string, reason: string) => this.#report(subject, reason);
    return segmentsOfFile(descriptor, { label, onIncomplete });
  }

  #report(label: string, reason: string): void {
    this.#isComplete = false;
    this.#options.onIncomplete?.(label, reason);
  }

  #outputPath(): string | undefined {
    const { output } = this.#options;
    return typeof output === 'string' ? output : undefined;
  }

  async #openSink(): Promise<ByteSink> {
    const inputMode = 'stats' in this.#input ? this.#input.stats?.mode : undefined;
    refuseInputAsOutput(this.#options.output, [this.#options.input]);
    return openOutput(this.#options, inputMode);
  }

  /**
   * An output or store inside of the tree that is archived changes while it is read: the folders that
   * hold them, and everything in the store. That is no reason for a warning.
   */
  #changedByUs(): (label: string) => boolean {
    const output = this.#outputPath();
    const store = mainStore(this.#options, output);
    const locators = [store, ...(output === undefined ? [] : [output])];
    const paths = locators.filter((locator) => remotePlace(locator) === undefined);
    const results = paths.map((path) => resolve(localPath(path)));
    return (label) => {
      const path = resolve(label);
      return results.some((own) => path === dirname(own) || isWithin(path, own));
    };
  }
}

type Made = Omit<MakeStatistics, 'totalMs'> & Pick<MakeResult, 'digest'>;

function countsOf(index: ChunkIndex, reusedChunkCount: number): Made {
  const { count: chunkCount, totalSize: archiveBytes } = index;
  const average = chunkCount === 0 ? {} : { averageChunkBytes: archiveBytes / chunkCount };
  return { archiveBytes, chunkCount, reusedChunkCount, ...average };
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
