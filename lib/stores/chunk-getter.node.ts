/**
 * Gets chunks from wherever they are into the memory of a pipeline: seeds and stores on this machine in
 * the threads of its pool, all others over the network from here. Used by everything that reads chunks.
 */
import { setMaxListeners } from 'node:events';
import { CHUNK_ID_LENGTH, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { openFallbackSource } from '../../store/wrap/fallback.ts';
import { abortedError, controllerBehind } from '../errors.ts';
import { openLocalObjects } from '../local-store.node.ts';
import type { JobSetup } from '../work/job-context.node.ts';
import { openJobPool } from '../work/job-pool.node.ts';
import { FETCHED, type FetchChunksInput, withChunkId } from '../work/jobs/fetch-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { openPooledStore } from './pooled-store.node.ts';
import { RepeatedChunks } from './repeated-chunks.ts';
import { localSources, remoteSources, type SourceDescriptions } from './store-description.ts';

export interface ChunkGetterOptions {
  readonly sources: SourceDescriptions;
  /** What will be fetched, and perhaps more than once. */
  readonly index: ChunkIndex;
  /** Its setup names the local sources. */
  readonly pool: JobPool;
  /** Bytes of the pool's memory, in place. */
  readonly bytes: (address: number, length: number) => Uint8Array;
  /** Ends requests that wait for a server. */
  readonly signal?: AbortSignal;
  /** Bytes from a chunk's place to where its stored form can lie, which has as much room. */
  readonly roomOffset: number;
}

/** Gets chunks as the job `fetchChunks` does. */
export interface ChunkGetter {
  /**
   * @returns one of FETCHED for each chunk
   * @throws ChunkMissing | ChunkDamaged | StorageError with the id of the chunk; nothing is written into
   * the memory any more then
   */
  fetch(input: FetchChunksInput): Promise<Uint8Array>;
  /** Ends what is still going on. */
  close(): Promise<void>;
}

function openChunkGetter(options: ChunkGetterOptions): ChunkGetter {
  const { pool, sources } = options;
  if (remoteSources(sources).length > 0) return new RemoteGetter(options);
  return openPoolGetter(pool);
}

/** What the pool of a reader of chunks is opened with. */
export interface PooledGetterOptions extends Omit<ChunkGetterOptions, 'pool' | 'sources'> {
  /** An opened source works without threads only, and stays open. */
  readonly source: SourceDescriptions | ChunkSource;
  /** For the contexts of all threads. */
  readonly setup: JobSetup;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  /** Whether the caller's thread takes jobs, too, unless it talks to servers. */
  readonly helps: boolean;
}

/** Opens a pool, and what gets chunks into its memory. Both are to be closed, the getter first. */
export function openPooledGetter(options: PooledGetterOptions): {
  readonly pool: JobPool;
  readonly getter: ChunkGetter;
} {
  const { source, setup, threadCount, helps } = options;
  if ('get' in source) {
    const pool = openJobPool(setup, 0, { source });
    return { pool, getter: openPoolGetter(pool) };
  }
  const pool = openJobPool({ ...setup, sources: localSources(source) }, threadCount, {
    helps: helps && !isAnyRemote(source),
  });
  return { pool, getter: openChunkGetter({ ...options, sources: source, pool }) };
}

/** Whether chunks may come over a network. */
export function isAnyRemote(source: SourceDescriptions | ChunkSource): boolean {
  return !('get' in source) && remoteSources(source).length > 0;
}

/** For sources that all threads of the pool know. */
function openPoolGetter(pool: JobPool): ChunkGetter {
  return { fetch: (input) => pool.run('fetchChunks', input), close: async () => {} };
}

/** Of a chunk in the shared memory, in bytes. */
interface Place {
  readonly address: number;
  readonly length: number;
}

class RemoteGetter implements ChunkGetter {
  readonly #options: ChunkGetterOptions;
  readonly #hasLocal: boolean;
  readonly #source: ChunkSource;
  readonly #cache: ReturnType<typeof openLocalObjects> | undefined;
  readonly #repeated: RepeatedChunks;
  readonly #ending: AbortController;
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: ChunkGetterOptions) {
    this.#ending = controllerBehind(options.signal);
    // As many requests as are under way listen to it.
    setMaxListeners(0, this.#ending.signal);
    const { pool, sources } = options;
    const { cache } = sources;
    this.#options = options;
    this.#repeated = new RepeatedChunks(options.index);
    this.#hasLocal = localSources(sources).length > 0;
    this.#cache = cache && openLocalObjects(cache);
    const pooled = {
      pool,
      memory: options.bytes(0, 0).buffer,
      ...(this.#cache && { cache: this.#cache }),
    };
    const stores = remoteSources(sources).map((store) => openPooledStore(store, pooled));
    this.#source = openFallbackSource(stores);
  }

  fetch(input: FetchChunksInput): Promise<Uint8Array> {
    const fetched = this.#fetch(input);
    this.#running.add(fetched);
    const forget = () => this.#running.delete(fetched);
    fetched.then(forget, forget);
    return fetched;
  }

  async #fetch(input: FetchChunksInput): Promise<Uint8Array> {
    const outcome = await this.#fetchHere(input);
    if (input.fromSeedsOnly) return outcome;
    const { digests, lengths } = input;
    let first: { readonly error: unknown } | undefined;
    const gets: Promise<void>[] = [];
    let address = input.address;
    for (const [i, length] of lengths.entries()) {
      const place = { address, length };
      address += length;
      if (outcome[i] !== FETCHED.notThere) continue;
      const digest = digests.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
      const got = this.#get(digest, place).catch((error: unknown) => {
        first ??= { error };
      });
      gets.push(got);
      outcome[i] = FETCHED.fromRemote;
    }
    await Promise.all(gets);
    if (first !== undefined) throw first.error;
    return outcome;
  }

  async #fetchHere(input: FetchChunksInput): Promise<Uint8Array> {
    const { pool } = this.#options;
    if (input.fromSeedsOnly) return pool.run('fetchChunks', input);
    if (this.#hasLocal) return pool.run('fetchChunks', { ...input, leaveMissing: true });
    if (input.parts !== undefined)
      return pool.run('fetchChunks', { ...input, fromSeedsOnly: true });
    return new Uint8Array(input.lengths.length);
  }

  async #get(digest: Uint8Array, place: Place): Promise<void> {
    const { bytes, roomOffset } = this.#options;
    const { address, length } = place;
    const into = bytes(address, length);
    const id = chunkIdFromBytes(digest, 0);
    const known = this.#repeated.find(id);
    if (known?.length === into.length) {
      into.set(known);
      return;
    }
    try {
      const room = bytes(address + roomOffset, length);
      const { signal } = this.#ending;
      const plain = await this.#source.get(id, { expectedSize: length, into, room, signal });
      if (plain.buffer !== into.buffer) into.set(plain);
      this.#repeated.keep(id, digest, into);
    } catch (error) {
      throw withChunkId(error, id);
    }
  }

  async close(): Promise<void> {
    this.#ending.abort(abortedError());
    await Promise.allSettled(this.#running);
    await this.#source.close();
    await this.#cache?.flush().catch(() => {});
    await this.#cache?.close();
  }
}
