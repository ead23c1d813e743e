/**
 * Chunks as they are stored or sent: compressed, usually, and not verified. What a castr store and the
 * protocol over ssh have in common; a chunk store makes plain, verified chunks of them.
 */
import type { ChunkId } from '../formats/chunk-id.ts';
import type { SignalOption } from './backend.ts';

export interface StoredChunk {
  readonly bytes: Uint8Array;
  /** Whether the bytes are the chunk itself; else one compressed stream, which tells its codec. */
  readonly isPlain: boolean;
}

export interface GetStoredOptions extends SignalOption {
  /** Bytes. */
  readonly maxSize: number;
  /** Memory for the bytes, used if they fit. */
  readonly into?: Uint8Array;
}

export interface StoredChunkSource {
  /** For messages; never contains credentials. */
  readonly label: string;
  has(id: ChunkId, options?: SignalOption): boolean | Promise<boolean>;
  /** @throws ChunkMissing if the storage said so; LimitExceeded above `maxSize`; StorageError */
  getStored(id: ChunkId, options: GetStoredOptions): Promise<StoredChunk>;
  close(): Promise<void>;
}

export interface PutStoredOptions extends SignalOption {
  /** One that is there may be damaged, and is replaced. */
  readonly replace?: boolean;
  /** Bytes of the chunk before compression, where they are known: some ways to store it tell them. */
  readonly plainSize?: number;
}

export interface StoredChunkStore extends StoredChunkSource {
  /** Takes a compressed chunk over that is known to be good; one that is there already stays. */
  putStored(
    id: ChunkId,
    bytes: Uint8Array,
    options?: PutStoredOptions,
  ): Promise<'stored' | 'present'>;
  /** Barrier, as ObjectBackend.flush. */
  flush(options?: SignalOption): Promise<void>;
}
