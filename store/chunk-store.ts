/** Stores of chunks, as pipelines see them. */
import type { ChunkId } from '../formats/chunk-id.ts';
import type { SignalOption } from './backend.ts';

export interface GetOptions extends SignalOption {
  /** Size of the chunk in bytes, as the index says; another size is damage. */
  readonly expectedSize?: number;
  /**
   * Memory for the chunk, used together with `expectedSize` if it has room for so many bytes: the
   * result is then a view of its beginning. What lies behind is undefined, and all of it after a
   * failure.
   */
  readonly into?: Uint8Array;
  /** Memory for the stored form, for the time of the call; a source that has none leaves it alone. */
  readonly room?: Uint8Array;
}

/** Somewhere chunks can be read from. Every implementation passes test/conformance/chunk-store.ts. */
export interface ChunkSource {
  /** For messages; never contains credentials. */
  readonly label: string;
  has(id: ChunkId, options?: SignalOption): Promise<boolean>;
  /**
   * The chunk's plain bytes, verified against the id.
   * @throws ChunkMissing | ChunkDamaged | StorageError
   */
  get(id: ChunkId, options?: GetOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface ChunkStore extends ChunkSource {
  /**
   * Takes a chunk over; `plain` may be reused afterwards. The id must be the digest of `plain`.
   * Durable and visible at the latest when {@link flush} resolves.
   */
  put(id: ChunkId, plain: Uint8Array, options?: SignalOption): Promise<'stored' | 'present'>;
  /** Barrier: everything put before is durable and visible. Must precede publishing an index. */
  flush(options?: SignalOption): Promise<void>;
}

export interface ListedChunk {
  readonly id: ChunkId;
  /** Stored bytes. */
  readonly size: number;
  readonly modified: Date;
}

export interface ManagedChunkStore extends ChunkStore {
  list(options?: SignalOption): AsyncIterable<ListedChunk>;
  remove(id: ChunkId, options?: SignalOption): Promise<void>;
}
