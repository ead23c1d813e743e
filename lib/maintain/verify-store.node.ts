/**
 * The check of a store, or of the chunks that indexes need: every chunk is read, decompressed and
 * compared with its id, on all cores, and all that is wrong is reported (spec/promises.md, 11). Used by
 * `verify`.
 */
import {
  CHUNK_ID_LENGTH,
  chunkIdFromBytes,
  type DigestName,
  writeChunkId,
} from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { PACK_FOLDER } from '../../store/pack-folder.node.ts';
import type { WorkOptions } from '../api/work-options.ts';
import { throwIfAborted } from '../errors.ts';
import { CHAINS_FOLDER } from '../images/chain/chain-folder.node.ts';
import { type LocalStoreDescription, openLocalStore } from '../local-store.node.ts';
import { createBreather } from '../work/breathe.ts';
import { defaultThreadCount, openJobPool } from '../work/job-pool.node.ts';
import type { VerifyChunksInput, VerifyChunksOutput } from '../work/jobs/verify-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { unattended } from '../work/unattended.ts';
import { ChunkIdSet } from './chunk-id-set.ts';
import { entryPath, readShard, readStoreFolder, type StoreEntry } from './store-folder.node.ts';
import type { StoreProblem, StoreProblemKind } from './store-problem.ts';
import { packedBatches, verifyVersions } from './verify-packs.node.ts';

export interface VerifyStoreOptions extends WorkOptions {
  /** Check the chunks that these need, instead of everything in the store. */
  readonly indexes?: readonly ChunkIndex[];
  /** Where chunks that indexes need may be, too. */
  readonly extraStores?: readonly LocalStoreDescription[];
  /** Told of each problem as soon as it is found. */
  readonly onProblem?: (problem: StoreProblem) => void;
}

export interface VerifyStoreResult {
  /** Chunks that were looked at, good or not. */
  readonly chunkCount: number;
  /** Plain bytes of those that are good. */
  readonly goodBytes: number;
  /** Unfinished files of runs that go on or have died. */
  readonly temporaryCount: number;
  readonly problemCounts: Readonly<Record<StoreProblemKind, number>>;
  /** The first 100 000 problems. */
  readonly problems: readonly StoreProblem[];
}

export type { StoreProblem, StoreProblemKind };

const MAX_PROBLEMS = 100_000;
/** Chunks of a job. */
const BATCH_COUNT = 32;
/** Fewer jobs than this are not worth a thread. */
const FEW_BATCHES = 4;
/** What a store has besides chunks with files of their own. */
const KNOWN_FOLDERS: ReadonlySet<string> = new Set([LEASE_FOLDER, PACK_FOLDER, CHAINS_FOLDER]);
const DIGESTS: readonly DigestName[] = ['sha256', 'sha512-256'];

/**
 * Checks all chunks and ends when it has seen the last, whatever the others were like.
 * @throws PipelineError `STORE_MISSING` if a whole store is to be checked and is not there; `ABORTED`
 */
export async function verifyStore(
  description: LocalStoreDescription,
  options: VerifyStoreOptions = {},
): Promise<VerifyStoreResult> {
  const { indexes, extraStores = [] } = options;
  const check = new StoreCheck(options);
  if (indexes === undefined) await check.checkStore(description);
  else {
    for (const digest of DIGESTS) {
      const named = indexes.filter((index) => index.digest === digest);
      const stores = [description, ...extraStores];
      const sources = stores.map((store) => ({ ...store, digests: [digest] }));
      if (named.length > 0) await check.checkIndexes(named, sources);
    }
  }
  return check.result();
}

interface Batch {
  /** Chunks by their paths below the store, as far as they have one. */
  readonly paths: readonly (string | undefined)[];
  readonly input: VerifyChunksInput;
}

class StoreCheck {
  readonly #options: VerifyStoreOptions;
  readonly #threadCount: number;
  readonly #problems: StoreProblem[] = [];
  readonly #counts = { damaged: 0, missing: 0, unreadable: 0, misplaced: 0, foreign: 0 };
  #chunkCount = 0;
  #goodBytes = 0;
  #temporaryCount = 0;
  #totalBytes: number | undefined;

  constructor(options: VerifyStoreOptions) {
    this.#options = options;
    this.#threadCount = options.threadCount ?? defaultThreadCount();
  }

  result(): VerifyStoreResult {
    return {
      chunkCount: this.#chunkCount,
      goodBytes: this.#goodBytes,
      temporaryCount: this.#temporaryCount,
      problemCounts: this.#counts,
      problems: this.#problems,
    };
  }

  async checkStore(description: LocalStoreDescription): Promise<void> {
    const { folder } = description;
    const store = { ...description, digests: DIGESTS };
    await this.#run([store], this.#batchesOfStore(folder, description.suffix));
    const source = openLocalStore(store);
    try {
      await verifyVersions(folder, source, (problem) => this.#report(problem));
    } finally {
      await source.close();
    }
  }

  async checkIndexes(
    indexes: readonly ChunkIndex[],
    sources: readonly LocalStoreDescription[],
  ): Promise<void> {
    this.#totalBytes = (this.#totalBytes ?? 0) + distinctBytes(indexes);
    await this.#run(sources, this.#batchesOfIndexes(indexes));
  }

  /** Has all batches checked, as many at a time as keep all threads busy. */
  async #run(sources: readonly LocalStoreDescription[], batches: Iterable<Batch>): Promise<void> {
    const pool = openJobPool({ sources }, this.#threadCount);
    const breathe = createBreather();
    const running = new Set<Promise<void>>();
    let batchCount = 0;
    try {
      for (const batch of batches) {
        throwIfAborted(this.#options.signal);
        await breathe();
        batchCount += 1;
        if (batchCount === FEW_BATCHES) pool.start();
        const checked = unattended(this.#check(pool, batch));
        running.add(checked);
        void checked.catch(() => {}).then(() => running.delete(checked));
        if (running.size > 2 * this.#threadCount + 1) await Promise.race(running);
      }
      await Promise.all(running);
      throwIfAborted(this.#options.signal);
    } finally {
      await pool.close();
    }
  }

  async #check(pool: JobPool, batch: Batch): Promise<void> {
    const output = await pool.run('verifyChunks', batch.input);
    this.#note(batch, output);
    this.#chunkCount += batch.paths.length;
    this.#goodBytes += output.goodBytes;
    this.#options.onProgress?.({
      phase: 'verify',
      doneBytes: this.#goodBytes,
      chunkCount: this.#chunkCount,
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes }),
    });
  }

  #note({ paths, input }: Batch, { faults }: VerifyChunksOutput): void {
    for (const { chunk, code, reason } of faults) {
      const id = chunkIdFromBytes(input.digests, chunk * CHUNK_ID_LENGTH);
      const path = paths[chunk];
      // Found by its name and gone since: somebody has removed it, and that is no damage.
      if (isGone(code) && path !== undefined) continue;
      const kind = kindOf(code);
      this.#report({ kind, id, reason, ...(path === undefined ? {} : { path }) });
    }
  }

  #report(problem: StoreProblem): void {
    this.#counts[problem.kind] += 1;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
    this.#options.onProblem?.(problem);
  }

  *#batchesOfIndexes(indexes: readonly ChunkIndex[]): Generator<Batch> {
    const seen = new ChunkIdSet();
    for (const index of indexes) {
      let chunks: number[] = [];
      for (let chunk = 0; chunk < index.count; chunk++) {
        if (seen.add(index.idBytes(chunk))) chunks.push(chunk);
        if (chunks.length < BATCH_COUNT && chunk < index.count - 1) continue;
        if (chunks.length > 0) yield batchOfIndex(index, chunks);
        chunks = [];
      }
    }
  }

  *#batchesOfStore(folder: string, suffix: string): Generator<Batch> {
    const { shards, others } = readStoreFolder(folder);
    for (const entry of others) {
      if (entry.name === PACK_FOLDER && entry.type === 'folder')
        yield* this.#batchesOfPacks(folder);
      else if (!KNOWN_FOLDERS.has(entry.name)) this.#reportForeign(entry);
    }
    let compressed: StoreEntry[] = [];
    for (const shard of shards) {
      const plain: StoreEntry[] = [];
      for (const entry of this.#chunksIn(folder, shard, suffix)) {
        (entry.kind === 'plain' ? plain : compressed).push(entry);
        if (compressed.length < BATCH_COUNT) continue;
        yield batchOfEntries(compressed);
        compressed = [];
      }
      for (let i = 0; i < plain.length; i += BATCH_COUNT) {
        const { paths, input } = batchOfEntries(plain.slice(i, i + BATCH_COUNT));
        yield { paths, input: { ...input, plainIn: { folder, digests: DIGESTS } } };
      }
    }
    if (compressed.length > 0) yield batchOfEntries(compressed);
  }

  *#batchesOfPacks(folder: string): Generator<Batch> {
    const reports = {
      report: (problem: StoreProblem) => this.#report(problem),
      onTemporary: () => {
        this.#temporaryCount += 1;
      },
    };
    for (const { path, digests, lengths } of packedBatches(folder, reports)) {
      yield { paths: lengths.map(() => path), input: { digests, lengths } };
    }
  }

  /** Files that are named like chunks, where chunks are looked for; reports all others. */
  *#chunksIn(folder: string, shard: string, suffix: string): Generator<StoreEntry> {
    for (const entry of this.#entriesOf(folder, shard, suffix)) {
      const { kind, id, name } = entry;
      const isChunk = kind === 'plain' || (kind === 'compressed' && name === `${id}${suffix}`);
      if (kind === 'temporary') this.#temporaryCount += 1;
      else if (id === undefined || !isChunk || entry.type !== 'file') this.#reportForeign(entry);
      else if (id.startsWith(shard)) yield entry;
      else {
        const reason = `belongs into ${id.slice(0, shard.length)}`;
        this.#report({ kind: 'misplaced', id, path: entryPath(entry), reason });
      }
    }
  }

  #entriesOf(folder: string, shard: string, suffix: string): readonly StoreEntry[] {
    try {
      return readShard(folder, shard, [suffix]);
    } catch (error) {
      if (!isCasError(error)) throw error;
      this.#report({ kind: 'unreadable', path: shard, reason: error.reason });
      return [];
    }
  }

  #reportForeign(entry: StoreEntry): void {
    const isMark = entry.type === 'link' && (entry.kind === 'plain' || entry.kind === 'compressed');
    const reason = isMark
      ? 'a link: says that the chunk is missing'
      : `not a chunk (${entry.type})`;
    this.#report({ kind: 'foreign', path: entryPath(entry), reason });
  }
}

/** Plain bytes of all chunks, each counted once. */
export function distinctBytes(indexes: readonly ChunkIndex[]): number {
  const seen = new ChunkIdSet();
  let bytes = 0;
  for (const index of indexes) seen.addIndex(index, (chunk) => (bytes += index.size(chunk)));
  return bytes;
}

function batchOfIndex(index: ChunkIndex, chunks: readonly number[]): Batch {
  const digests = index.digestsOf(chunks);
  const lengths = chunks.map((chunk) => index.size(chunk));
  return { paths: chunks.map(() => undefined), input: { digests, lengths } };
}

function batchOfEntries(entries: readonly StoreEntry[]): Batch {
  const digests = new Uint8Array(entries.length * CHUNK_ID_LENGTH);
  for (const [i, { id }] of entries.entries()) {
    if (id !== undefined) writeChunkId(id, digests, i * CHUNK_ID_LENGTH);
  }
  return { paths: entries.map(entryPath), input: { digests } };
}

/** Whether an error says that there is no such chunk. */
export function isGone(code: string): boolean {
  return code === 'CHUNK_MISSING' || code === 'OBJECT_MISSING';
}

/** What an error says of a chunk. */
export function kindOf(code: string): StoreProblemKind {
  if (isGone(code)) return 'missing';
  return code === 'CHUNK_DAMAGED' || code === 'LIMIT_EXCEEDED' ? 'damaged' : 'unreadable';
}
