/**
 * The sweep of garbage collection: removes the compressed chunks of a store that are not in a set
 * (spec/formats/castr.md, "Cleaning"). A kill at any moment leaves a store in which no live chunk is
 * missing. Used by gc.
 */
import { rmdirSync, unlinkSync } from 'node:fs';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { systemErrorCode, toStorageError } from '../../store/system-error.node.ts';
import { throwIfAborted } from '../errors.ts';
import type { ProgressSink } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';
import type { ChunkIdSet } from './chunk-id-set.ts';
import {
  entryPath,
  readShard,
  readStoreFolder,
  type StoreEntry,
  statEntry,
} from './store-folder.node.ts';

export type SweepEvent =
  /** A chunk is removed, or would be. */
  | { readonly kind: 'chunk'; readonly name: string }
  /** A file that an earlier run left unfinished is removed, or would be. */
  | { readonly kind: 'temporary'; readonly name: string }
  /** A pack in which nothing is needed is removed, or would be. */
  | { readonly kind: 'pack'; readonly name: string }
  /** A pack is written anew without what nobody needs, or would be. */
  | { readonly kind: 'rewritten-pack'; readonly name: string }
  /** A pack that cannot be read; stays. */
  | { readonly kind: 'damaged-pack'; readonly name: string; readonly reason: string }
  /** Named like a chunk, but not by an id; stays. */
  | { readonly kind: 'unnamed'; readonly name: string };

export interface SweepOptions {
  /** Of compressed chunks. */
  readonly suffixes: readonly string[];
  /** Chunks in packs alone are removed: those with files of their own are no version's, and nobody has said whose. */
  readonly onlyPacked: boolean;
  /** Only say what would be removed. */
  readonly dryRun: boolean;
  /** Rejects if nothing may be removed any more. Called before each removal. */
  readonly confirm: () => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  readonly onEvent?: (event: SweepEvent) => void;
  /** The time in milliseconds since 1970, replaceable in tests. */
  readonly now?: () => number;
}

export interface SweepResult {
  /** Chunks that were removed, or would be. */
  readonly removedCount: number;
  /** Folders that became empty and are gone. */
  readonly removedFolderCount: number;
  /** Files named like compressed chunks that are left. */
  readonly remainingCount: number;
  /** Stored bytes of what was removed, or would be. */
  readonly removedBytes: number;
  /** Unfinished files of runs that have died long ago, which were removed, or would be. */
  readonly temporaryCount: number;
}

/** No run writes on the same chunk for so long. */
const OLD_TEMPORARY_MS = 24 * 3600_000;

/**
 * @throws PipelineError `STORE_MISSING` if the store is not there, `ABORTED`; StorageError; what
 * `confirm` throws
 */
export function sweep(
  folder: string,
  live: ChunkIdSet,
  options: SweepOptions,
): Promise<SweepResult> {
  return new Sweep(folder, live, options).run();
}

class Sweep {
  readonly #folder: string;
  readonly #live: ChunkIdSet;
  readonly #options: SweepOptions;
  readonly #id = new Uint8Array(CHUNK_ID_LENGTH);
  readonly #oldestMs: number;
  #removedCount = 0;
  #removedFolderCount = 0;
  #remainingCount = 0;
  #removedBytes = 0;
  #temporaryCount = 0;

  constructor(folder: string, live: ChunkIdSet, options: SweepOptions) {
    this.#folder = folder;
    this.#live = live;
    this.#options = options;
    this.#oldestMs = (options.now ?? Date.now)() - OLD_TEMPORARY_MS;
  }

  async run(): Promise<SweepResult> {
    const { suffixes, signal } = this.#options;
    const breathe = createBreather();
    const { shards, others } = readStoreFolder(this.#folder);
    for (const shard of shards) {
      throwIfAborted(signal);
      await breathe();
      await this.#sweepShard(shard, readShard(this.#folder, shard, suffixes));
      this.#report();
    }
    const leases = others.find(({ name, type }) => name === LEASE_FOLDER && type === 'folder');
    if (leases) await this.#sweepLeases();
    return {
      removedCount: this.#removedCount,
      removedFolderCount: this.#removedFolderCount,
      remainingCount: this.#remainingCount,
      removedBytes: this.#removedBytes,
      temporaryCount: this.#temporaryCount,
    };
  }

  async #sweepShard(shard: string, entries: readonly StoreEntry[]): Promise<void> {
    let hasRemoved = false;
    for (const entry of entries) {
      const { kind, name, type } = entry;
      if (kind === 'temporary') {
        if (await this.#removeOld(entry)) hasRemoved = true;
      } else if (kind !== 'compressed' || type === 'folder') continue;
      else if (this.#isGarbage(entry)) {
        this.#options.onEvent?.({ kind: 'chunk', name });
        await this.#remove(entry);
        this.#removedCount += 1;
        hasRemoved = true;
      } else this.#remainingCount += 1;
    }
    if (!hasRemoved || this.#options.dryRun) return;
    if (removeFolder(`${this.#folder}/${shard}`)) this.#removedFolderCount += 1;
  }

  #isGarbage({ id, name }: StoreEntry): boolean {
    if (id === undefined) {
      this.#options.onEvent?.({ kind: 'unnamed', name });
      return false;
    }
    if (this.#options.onlyPacked) return false;
    writeChunkId(id, this.#id, 0);
    return !this.#live.has(this.#id);
  }

  /** What died while a lease was written. */
  async #sweepLeases(): Promise<void> {
    for (const entry of readShard(this.#folder, LEASE_FOLDER, this.#options.suffixes)) {
      if (/^[0-9a-f]{16}\.[0-9a-f]+\.tmp$/.test(entry.name)) await this.#removeOld(entry);
    }
  }

  async #removeOld(entry: StoreEntry): Promise<boolean> {
    const stats = statEntry(this.#folder, entry);
    if (entry.type !== 'file' || stats === undefined) return false;
    if (stats.mtimeMs > this.#oldestMs) return false;
    this.#options.onEvent?.({ kind: 'temporary', name: entry.name });
    await this.#remove(entry);
    this.#temporaryCount += 1;
    return true;
  }

  async #remove(entry: StoreEntry): Promise<void> {
    throwIfAborted(this.#options.signal);
    const size = statEntry(this.#folder, entry)?.size ?? 0;
    if (!this.#options.dryRun) {
      await this.#options.confirm();
      removeFile(`${this.#folder}/${entryPath(entry)}`);
    }
    this.#removedBytes += size;
  }

  #report(): void {
    this.#options.onProgress?.({
      phase: 'gc',
      doneBytes: this.#removedBytes,
      chunkCount: this.#removedCount + this.#remainingCount,
    });
  }
}

/** A link is removed itself; what it leads to stays. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw toStorageError(error, path, 'remove');
  }
}

/** @returns whether it was empty and is gone */
function removeFolder(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}
