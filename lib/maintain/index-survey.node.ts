/** What an index needs, in numbers: its chunks, those in stores, and those that seeds have. For `info`. */
import { lstatSync } from 'node:fs';
import { type ChunkId, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { chunkKey } from '../../formats/chunk-path.ts';
import type { WorkOptions } from '../api/work-options.ts';
import { throwIfAborted } from '../errors.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import { createBreather } from '../work/breathe.ts';
import { ChunkIdSet } from './chunk-id-set.ts';

/** Chunks, each counted once. */
export interface ChunkTotals {
  readonly chunkCount: number;
  /** Plain bytes. */
  readonly bytes: number;
  /** Compressed bytes of those that are in a store; undefined without stores. */
  readonly storedBytes?: number;
  /** Chunks that are in no store; undefined without stores. */
  readonly missingCount?: number;
}

export interface IndexSurvey {
  readonly distinct: ChunkTotals;
  /** In bytes; 0 if there are no chunks. */
  readonly smallestChunk: number;
  readonly largestChunk: number;
  /** Of the distinct chunks, those that no seed has; undefined without seeds. */
  readonly update?: ChunkTotals;
}

export interface SurveyOptions extends WorkOptions {
  /** Asked in this order; none if there are none at hand. */
  readonly stores: readonly LocalStoreDescription[];
  /** Whether a seed has a chunk; undefined if there are no seeds. */
  readonly isInSeeds?: (id: ChunkId) => boolean;
}

class Totals {
  chunkCount = 0;
  bytes = 0;
  #storedBytes = 0;
  #missingCount = 0;

  add(bytes: number, storedBytes: number | undefined): void {
    this.chunkCount += 1;
    this.bytes += bytes;
    if (storedBytes === undefined) this.#missingCount += 1;
    else this.#storedBytes += storedBytes;
  }

  result(hasStores: boolean): ChunkTotals {
    const { chunkCount, bytes } = this;
    if (!hasStores) return { chunkCount, bytes };
    return { chunkCount, bytes, storedBytes: this.#storedBytes, missingCount: this.#missingCount };
  }
}

/** @throws PipelineError `ABORTED` */
export async function surveyIndex(
  index: ChunkIndex,
  { stores, isInSeeds, signal }: SurveyOptions,
): Promise<IndexSurvey> {
  const [distinct, update] = [new Totals(), new Totals()];
  const seen = new ChunkIdSet();
  const breathe = createBreather();
  let smallestChunk = Number.POSITIVE_INFINITY;
  let largestChunk = 0;
  for (let chunk = 0; chunk < index.count; chunk++) {
    throwIfAborted(signal);
    const pause = breathe();
    if (pause !== undefined) await pause;
    const size = index.size(chunk);
    smallestChunk = Math.min(smallestChunk, size);
    largestChunk = Math.max(largestChunk, size);
    if (!seen.add(index.idBytes(chunk))) continue;
    const id = chunkIdFromBytes(index.idBytes(chunk));
    const storedBytes = storedSize(id, stores);
    distinct.add(size, storedBytes);
    if (isInSeeds?.(id) === false) update.add(size, storedBytes);
  }
  const hasStores = stores.length > 0;
  return {
    distinct: distinct.result(hasStores),
    smallestChunk: index.count === 0 ? 0 : smallestChunk,
    largestChunk,
    ...(isInSeeds ? { update: update.result(hasStores) } : {}),
  };
}

/** Stored bytes of a chunk in the first store that has it. */
function storedSize(id: ChunkId, stores: readonly LocalStoreDescription[]): number | undefined {
  for (const { folder, suffix } of stores) {
    for (const candidate of [suffix, '']) {
      const stats = lstatSync(`${folder}/${chunkKey(id, candidate)}`, { throwIfNoEntry: false });
      if (stats?.isFile()) return stats.size;
    }
  }
  return undefined;
}
