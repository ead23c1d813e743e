/** Opens the bytes behind an index, with its stores and seeds. Used by whatever reads such bytes. */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import { throwIfAborted } from '../errors.ts';
import { openLocalSource } from '../local-store.node.ts';
import { type IndexSource, openIndexSource } from '../read/index-source.node.ts';
import { openSeeds } from '../seed/open-seeds.node.ts';
import type { Seed } from '../seed/seed.ts';
import {
  localSources,
  remoteSources,
  type SourceDescriptions,
} from '../stores/store-description.ts';
import { createBreather } from '../work/breathe.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import type { FolderOptions, InputOptions, SeedOptions, StoreOptions } from './options.ts';
import { describeStoresForReading } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export type BehindIndexOptions = InputOptions &
  StoreOptions &
  SeedOptions &
  Pick<FolderOptions, 'uidShift'> & {
    /**
     * Path of a folder that is the first seed if the stores lack a chunk: to find out what is in it
     * costs more than to read stores on this machine.
     */
    readonly oldTree?: string;
    /** Chunks of the first store that come with the index. */
    readonly chunks?: StoredChunkSource;
  };

export interface BehindIndex {
  /** Closes its seeds, too. */
  readonly source: IndexSource;
  /** Where its chunks are fetched. */
  readonly pool: JobPool;
  /** Time in which seeds were read to find out what they hold. */
  readonly seedingMs: number;
}

/** Locator of an index, which tells where its store is. */
export function indexPath({ input }: InputOptions): string | undefined {
  return typeof input === 'string' ? input : undefined;
}

/** Whether the old tree is worth a look: what is on this machine need not be got from another one. */
async function lacksChunk(
  sources: SourceDescriptions,
  index: ChunkIndex,
  { signal }: WorkOptions,
): Promise<boolean> {
  if (remoteSources(sources).length > 0) return true;
  const source = openLocalSource(localSources(sources));
  const breathe = createBreather();
  try {
    for (let chunk = 0; chunk < index.count; chunk++) {
      throwIfAborted(signal);
      const pause = breathe();
      if (pause !== undefined) await pause;
      if (!(await source.has(index.id(chunk)))) return true;
    }
    return false;
  } finally {
    await source.close();
  }
}

/** Where the chunks of an index may come from. */
export interface IndexSources {
  readonly source: SourceDescriptions;
  /** Asked before the source; to be closed. */
  readonly seeds: readonly Seed[];
  /** Time in which seeds were read to find out what they hold. */
  readonly seedingMs: number;
}

/** Finds the stores of an index, and opens its seeds. @throws CasError */
export async function openIndexSources(
  index: ChunkIndex,
  options: BehindIndexOptions,
): Promise<IndexSources> {
  const source = describeStoresForReading(
    options,
    indexPath(options),
    index.digest,
    options.chunks,
  );
  const { threadCount = defaultThreadCount(), signal, onProgress } = options;
  const { chunker, uidShift, onSeedEntry, oldTree, onSeedFailure } = options;
  const paths = [...(options.seeds ?? [])];
  if (oldTree !== undefined && (await lacksChunk(source, index, options))) paths.unshift(oldTree);
  if (paths.length === 0) return { source, seeds: [], seedingMs: 0 };
  const started = performance.now();
  const seeds = await openSeeds(paths, index, {
    threadCount,
    onSeedFailure(seed, error) {
      // Nobody has asked for the old tree by name.
      if (seed !== oldTree) onSeedFailure?.(seed, error);
    },
    ...(chunker ? { chunker } : {}),
    ...(uidShift ? { uidShift } : {}),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(onSeedEntry ? { onEntry: onSeedEntry } : {}),
  });
  return { source, seeds, seedingMs: performance.now() - started };
}

/** @param label name of the index, for messages */
export async function openBehindIndex(
  index: ChunkIndex,
  label: string,
  options: BehindIndexOptions,
): Promise<BehindIndex> {
  const { threadCount = defaultThreadCount(), signal } = options;
  const { source: sources, seeds, seedingMs } = await openIndexSources(index, options);
  const source = openIndexSource(index, {
    source: sources,
    seeds,
    threadCount,
    label,
    ...(signal ? { signal } : {}),
  });
  return { source: closingSeeds(source, seeds), pool: source.pool, seedingMs };
}

function closingSeeds(source: IndexSource, seeds: readonly Seed[]): IndexSource {
  return {
    ...source,
    async close() {
      await source.close();
      for (const seed of seeds) seed.close();
    },
  };
}
