/** A store on another machine for a pipeline: the threads of its pool, if there are any, transcode. */
import type { ChunkStore } from '../../store/chunk-store.ts';
import type { StoredChunkStore } from '../../store/stored-chunk.ts';
import { createNodeTranscoder } from '../local-store.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { createPooledTranscoder } from './pooled-transcoder.node.ts';
import { openRemoteStore } from './remote-store.node.ts';
import type { RemoteStoreDescription } from './store-description.ts';

export interface PooledStoreOptions {
  readonly pool: JobPool;
  /** Of the pool. */
  readonly memory: ArrayBufferLike;
  /** Gets every compressed chunk that was read and found good; stays open. */
  readonly cache?: StoredChunkStore;
}

/** Opened when it is first asked for something. */
export function openPooledStore(
  description: RemoteStoreDescription,
  { pool, memory, cache }: PooledStoreOptions,
): ChunkStore {
  const hasThreads = pool.threadCount > 0;
  const here = createNodeTranscoder(description.digests, description.compression);
  return openRemoteStore(description, {
    transcoder: hasThreads ? createPooledTranscoder(pool, memory, here) : here,
    usesScratch: !hasThreads,
    ...(cache && { cache }),
  });
}
