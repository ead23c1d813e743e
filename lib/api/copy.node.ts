/** `copy` of the library: indexes and what they need into another store (spec/api.md, "copy"). */
import { statSync } from 'node:fs';
import type { DigestName } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { encodeIndex } from '../../formats/index-codec.ts';
import { redacted } from '../../store/location.ts';
import type { StoredChunkStore } from '../../store/stored-chunk.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { createNodeTranscoder, openLocalObjects } from '../local-store.node.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';
import { COPY_MEMORY_SIZE, copyChunks } from '../maintain/copy-chunks.node.ts';
import { type HeldLease, whileInUse } from '../maintain/store-lease.node.ts';
import { createPooledTranscoder } from '../stores/pooled-transcoder.node.ts';
import { openStoredChunks } from '../stores/remote-store.node.ts';
import { isRemote, type StoreDescription } from '../stores/store-description.ts';
import { defaultThreadCount, openJobPool, WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { placeBeside } from './copy-places.ts';
import { openInput, readIndex } from './input.node.ts';
import type { StoreOptions } from './options.ts';
import { openOutput } from './output.node.ts';
import { describeStoreForWriting, describeStoresForReading, remotePlace } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface CopyOptions extends WorkOptions, StoreOptions {
  /** Paths, URLs or ssh locators. */
  readonly indexes: readonly string[];
  /** The store that gets the chunks. Each index appears beside it, under its own name. */
  readonly to: string;
  /** Told of each index that is there with all its chunks. */
  readonly onIndex?: (copied: CopiedIndex) => void;
  /** Told once why, before others are waited for. */
  readonly onWait?: (reason: string) => void;
}

export interface CopiedIndex {
  /** As they may be shown. */
  readonly index: string;
  readonly output: string;
  /** Distinct chunks. */
  readonly chunkCount: number;
  readonly copiedChunkCount: number;
  /** As they are stored. */
  readonly copiedBytes: number;
}

export interface CopyStatistics {
  readonly indexCount: number;
  /** Distinct chunks of each index, added up. */
  readonly chunkCount: number;
  readonly copiedChunkCount: number;
  /** As they are stored. */
  readonly copiedBytes: number;
  readonly totalMs: number;
}

export interface CopyResult {
  readonly indexes: readonly CopiedIndex[];
  readonly statistics: CopyStatistics;
}

interface Job {
  readonly locator: string;
  readonly output: string;
  readonly index: ChunkIndex;
  /** Of the source, if that is a file here. */
  readonly mode: number | undefined;
  /** Numbers in the index, each chunk once. */
  readonly chunks: readonly number[];
}

/**
 * Copies the chunks that the store lacks, then the index, one index after the other. What was copied
 * before an interruption is not copied again.
 * @throws CasError `USAGE`, `ABORTED`, `INDEX_MISSING`, FormatError for what is no index, `CHUNK_MISSING`,
 * `CHUNK_DAMAGED`, `LEASE_HELD`, `LEASE_LOST`, StorageError
 */
export async function copy(options: CopyOptions): Promise<CopyResult> {
  const outputs = new Map<string, string>();
  for (const locator of options.indexes) {
    const output = placeBeside(options.to, locator);
    const other = outputs.get(output);
    if (other !== undefined && other !== locator) {
      const reason = `${redacted(other)} has the same name.`;
      throw new PipelineError('USAGE', { subject: redacted(locator), reason });
    }
    outputs.set(output, locator);
  }
  const jobs: Job[] = [];
  for (const [output, locator] of outputs) jobs.push(await openJob(locator, output, options));
  const copier = new Copier(jobs, options);
  try {
    return await copier.run();
  } finally {
    await copier.close();
  }
}

async function openJob(locator: string, output: string, options: CopyOptions): Promise<Job> {
  const input = await openInput({ ...options, input: locator });
  try {
    const index = await readIndex(input, options);
    const chunks: number[] = [];
    new ChunkIdSet().addIndex(index, (chunk) => chunks.push(chunk));
    const mode = input.form === 'file' ? input.stats.mode : undefined;
    return { locator, output, index, mode, chunks };
  } finally {
    input.close();
  }
}

function openStored(description: StoreDescription): StoredChunkStore | Promise<StoredChunkStore> {
  return isRemote(description) ? openStoredChunks(description) : openLocalObjects(description);
}

class Copier {
  readonly #jobs: readonly Job[];
  readonly #options: CopyOptions;
  readonly #totalBytes: number;
  readonly #memory = new SharedArrayBuffer(COPY_MEMORY_SIZE);
  readonly #pools = new Map<DigestName, JobPool>();
  #doneBytes = 0;
  #chunkCount = 0;
  #copiedChunkCount = 0;
  #copiedBytes = 0;

  constructor(jobs: readonly Job[], options: CopyOptions) {
    this.#jobs = jobs;
    this.#options = options;
    this.#totalBytes = jobs.reduce((sum, { index, chunks }) => sum + sizeOf(index, chunks), 0);
  }

  async run(): Promise<CopyResult> {
    const started = performance.now();
    const indexes: CopiedIndex[] = [];
    for (const job of this.#jobs) {
      const copied = await this.#copy(job);
      indexes.push(copied);
      this.#options.onIndex?.(copied);
    }
    const statistics = {
      indexCount: indexes.length,
      chunkCount: this.#chunkCount,
      copiedChunkCount: this.#copiedChunkCount,
      copiedBytes: this.#copiedBytes,
      totalMs: performance.now() - started,
    };
    return { indexes, statistics };
  }

  async close(): Promise<void> {
    for (const pool of this.#pools.values()) await pool.close();
  }

  async #copy(job: Job): Promise<CopiedIndex> {
    const { to, signal, onWait } = this.#options;
    const description = describeStoreForWriting(
      { ...this.#options, store: to },
      undefined,
      job.index.digest,
    );
    const lease = {
      index: job.output,
      ...(signal ? { signal } : {}),
      ...(onWait ? { onWait } : {}),
    };
    const before = { count: this.#copiedChunkCount, bytes: this.#copiedBytes };
    await whileInUse(description, lease, async (held) => {
      await this.#copyChunks(job, description);
      throwIfAborted(signal);
      await this.#publish(job, held);
    });
    return {
      index: redacted(job.locator),
      output: redacted(job.output),
      chunkCount: job.chunks.length,
      copiedChunkCount: this.#copiedChunkCount - before.count,
      copiedBytes: this.#copiedBytes - before.bytes,
    };
  }

  async #copyChunks({ locator, index, chunks }: Job, description: StoreDescription) {
    const { signal } = this.#options;
    const { stores, cache } = describeStoresForReading(this.#options, locator, index.digest);
    const opened: StoredChunkStore[] = [];
    const open = async (store: StoreDescription): Promise<StoredChunkStore> => {
      const stored = await openStored(store);
      opened.push(stored);
      return stored;
    };
    try {
      const target = await open(description);
      const sources: StoredChunkStore[] = [];
      for (const source of cache ? [cache, ...stores] : stores) sources.push(await open(source));
      await copyChunks(index, chunks, {
        sources,
        target,
        ...this.#transcoding(index.digest, description),
        ...(signal ? { signal } : {}),
        onChunk: (plainSize, storedSize) => this.#count(plainSize, storedSize),
      });
      await target.flush(signal ? { signal } : {});
    } finally {
      for (const stored of opened) await stored.close();
    }
  }

  #transcoding(digest: DigestName, { compression }: StoreDescription) {
    const here = createNodeTranscoder([digest], compression);
    const { threadCount = defaultThreadCount() } = this.#options;
    if (threadCount === 0 || this.#totalBytes < WORTH_THREADS) {
      return { transcoder: here, memory: this.#memory };
    }
    const pool =
      this.#pools.get(digest) ??
      openJobPool({ digest, compression, memory: { buffer: this.#memory } }, threadCount);
    this.#pools.set(digest, pool);
    return { transcoder: createPooledTranscoder(pool, this.#memory, here), memory: this.#memory };
  }

  #count(plainSize: number, storedSize: number): void {
    this.#doneBytes += plainSize;
    this.#chunkCount += 1;
    if (storedSize > 0) this.#copiedChunkCount += 1;
    this.#copiedBytes += storedSize;
    this.#options.onProgress?.({
      phase: 'copy',
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      chunkCount: this.#chunkCount,
      reusedChunkCount: this.#chunkCount - this.#copiedChunkCount,
    });
  }

  async #publish({ locator, output, index, mode }: Job, lease: HeldLease): Promise<void> {
    if (isSame(locator, output)) return;
    const sink = await openOutput({ ...this.#options, output }, mode);
    try {
      await sink.write(encodeIndex(index));
      await lease.confirm();
      await sink.commit();
    } finally {
      await sink.discard();
    }
  }
}

function sizeOf(index: ChunkIndex, chunks: readonly number[]): number {
  return chunks.reduce((sum, chunk) => sum + index.size(chunk), 0);
}

/** Whether both name the same file: it lies where it shall be copied to. */
function isSame(a: string, b: string): boolean {
  if (a === b) return true;
  if (remotePlace(a) !== undefined || remotePlace(b) !== undefined) return false;
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}
