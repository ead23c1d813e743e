/**
 * Puts chunks from the memory of a pipeline into its store: into one on this machine in the threads of
 * its pool, into all others over the network from here. Used by everything that makes indexes.
 */
import { setMaxListeners } from 'node:events';
import { CHUNK_ID_LENGTH, type ChunkId, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import type { ChunkStore } from '../../store/chunk-store.ts';
import { abortedError, controllerBehind } from '../errors.ts';
import { openLocalStore } from '../local-store.node.ts';
import type { StoreChunksInput, StoreChunksOutput } from '../work/jobs/store-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { openPooledStore } from './pooled-store.node.ts';
import { lazyStore } from './remote-store.node.ts';
import {
  isRemote,
  type RemoteStoreDescription,
  type StoreDescription,
} from './store-description.ts';

export interface ChunkPutterOptions {
  /** A store that is open already stays open; the pool works without threads then. */
  readonly store: StoreDescription | ChunkStore;
  /** Its setup names the store if that is on this machine. */
  readonly pool: JobPool;
  /** Bytes of the pool's memory, in place. */
  readonly bytes: (address: number, length: number) => Uint8Array;
  /** Ends requests that wait for a server. */
  readonly signal?: AbortSignal;
}

export interface ChunkPutter {
  /** As the job `storeChunks`. @throws StorageError; the memory is not used any more then */
  store(input: StoreChunksInput): Promise<StoreChunksOutput>;
  /** As the job `storeZeroChunk`. @param length of the chunk in bytes */
  storeZeros(length: number): Promise<StoreChunksOutput>;
  has(id: ChunkId): Promise<boolean>;
  /** Waits until everything that was stored is durable and visible. @throws StorageError */
  flush(): Promise<void>;
  /** Ends what is still going on. */
  close(): Promise<void>;
}

export function openChunkPutter(options: ChunkPutterOptions): ChunkPutter {
  const { store, pool } = options;
  if (!isDescription(store)) return openPoolPutter(pool, store, async () => {});
  if (isRemote(store)) return new RemotePutter(options, store);
  const seen = lazyStore(store.folder, async () => openLocalStore(store));
  return openPoolPutter(pool, seen, () => seen.close());
}

/** @param seen the store that the pool's threads put into, as this thread sees it */
function openPoolPutter(pool: JobPool, seen: ChunkStore, close: () => Promise<void>): ChunkPutter {
  return {
    store: (input) => pool.run('storeChunks', input),
    storeZeros: (length) => pool.run('storeZeroChunk', { length }),
    has: (id) => seen.has(id),
    async flush() {
      await pool.runOnAll('flushStore', undefined);
    },
    close,
  };
}

/** Whether a store is not open yet. */
export function isDescription(store: StoreDescription | ChunkStore): store is StoreDescription {
  return 'digests' in store;
}

/** Chunks that are not asked for again, because they were stored a short time ago. */
const REMEMBERED_COUNT = 65_536;

class RemotePutter implements ChunkPutter {
  readonly #options: ChunkPutterOptions;
  readonly #store: ChunkStore;
  readonly #ending: AbortController;
  /** Stored a short time ago or on their way, oldest first. */
  readonly #known = new Map<ChunkId, Promise<'stored' | 'present'>>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: ChunkPutterOptions, description: RemoteStoreDescription) {
    this.#ending = controllerBehind(options.signal);
    // As many requests as are under way listen to it.
    setMaxListeners(0, this.#ending.signal);
    this.#options = options;
    const { pool, bytes } = options;
    this.#store = openPooledStore(description, { pool, memory: bytes(0, 0).buffer });
  }

  async store(input: StoreChunksInput): Promise<StoreChunksOutput> {
    const digests = await this.#options.pool.run('digestChunks', input);
    let address = input.address;
    const puts = input.lengths.map((length, i) => {
      const plain = this.#options.bytes(address, length);
      address += length;
      return this.#put(chunkIdFromBytes(digests, i * CHUNK_ID_LENGTH), plain);
    });
    return { digests, reusedCount: await countPresent(puts) };
  }

  async storeZeros(length: number): Promise<StoreChunksOutput> {
    const digests = await this.#options.pool.run('digestZeroChunk', { length });
    const put = this.#put(chunkIdFromBytes(digests, 0), new Uint8Array(length));
    return { digests, reusedCount: await countPresent([put]) };
  }

  has(id: ChunkId): Promise<boolean> {
    return this.#store.has(id);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  async close(): Promise<void> {
    this.#ending.abort(abortedError());
    await Promise.allSettled(this.#running);
    await this.#store.close();
  }

  /** Stored once, however often it comes in a short time. */
  #put(id: ChunkId, plain: Uint8Array): Promise<'stored' | 'present'> {
    const known = this.#known.get(id);
    if (known !== undefined) return known.then(() => 'present');
    const put = this.#store.put(id, plain, { signal: this.#ending.signal });
    this.#known.set(id, put);
    this.#running.add(put);
    put.then(
      () => this.#running.delete(put),
      // Nothing more is put: the first failure ends the work.
      (error: unknown) => {
        this.#running.delete(put);
        this.#ending.abort(error);
      },
    );
    if (this.#known.size > REMEMBERED_COUNT) this.#forgetOldest();
    return put;
  }

  #forgetOldest(): void {
    for (const [id, put] of this.#known) {
      if (this.#running.has(put)) continue;
      this.#known.delete(id);
      return;
    }
  }
}

/** @throws the first failure, when all have ended */
async function countPresent(puts: readonly Promise<'stored' | 'present'>[]): Promise<number> {
  const results = await Promise.allSettled(puts);
  let count = 0;
  for (const result of results) {
    if (result.status === 'rejected') throw result.reason;
    if (result.value === 'present') count += 1;
  }
  return count;
}
