/**
 * A chunk store over stored chunks, wherever those are: what a castr store and the protocol over ssh
 * have in common. Used by castr-store.ts, and for the protocol.
 */
import type { ChunkId } from '../formats/chunk-id.ts';
import { DEFAULT_DECODE_LIMITS } from '../formats/decode-limits.ts';
import { isCasError } from '../formats/errors.ts';
import type { SignalOption } from './backend.ts';
import type { ChunkStore, GetOptions } from './chunk-store.ts';
import { StorageError } from './errors.ts';
import { Scratch } from './scratch.ts';
import type {
  GetStoredOptions,
  StoredChunk,
  StoredChunkSource,
  StoredChunkStore,
} from './stored-chunk.ts';
import { type ChunkTranscoder, chunkDamaged, storedCeiling } from './transcoder.ts';
import { compressedRoom } from './transforms.ts';

/** Stored chunks above this size are read into memory of their own. */
const READ_ROOM = 1024 * 1024;

export interface TranscodedOptions {
  readonly transcoder: ChunkTranscoder;
  /** Largest chunk in bytes where the index does not say its size; 128 MiB if left out. */
  readonly maxChunkSize?: number;
  /** Gets every compressed chunk that was read and found good; stays open. */
  readonly cache?: StoredChunkStore;
  /**
   * Use the same memory for chunk after chunk; true if left out. Pays where few are on their way at a
   * time and the transcoder works in this thread.
   */
  readonly usesScratch?: boolean;
}

/** @param stored belongs to the store from now on */
export function openTranscodedStore(
  stored: StoredChunkStore,
  options: TranscodedOptions,
): ChunkStore {
  return new TranscodedStore(stored, options);
}

/** What can only be read, as a store that says so. */
export function readOnly(stored: StoredChunkSource): StoredChunkStore {
  return {
    label: stored.label,
    has: (id, options) => stored.has(id, options),
    getStored: (id, options) => stored.getStored(id, options),
    async putStored() {
      const reason = 'nothing can be stored there';
      throw new StorageError('DENIED', { subject: stored.label, step: 'put', reason });
    },
    flush: async () => {},
    close: () => stored.close(),
  };
}

class TranscodedStore implements ChunkStore {
  readonly #stored: StoredChunkStore;
  readonly #transcoder: ChunkTranscoder;
  readonly #cache: StoredChunkStore | undefined;
  readonly #maxChunkSize: number;
  readonly #scratch: Scratch | undefined;

  constructor(stored: StoredChunkStore, options: TranscodedOptions) {
    const { transcoder, cache, maxChunkSize = DEFAULT_DECODE_LIMITS.maxChunkSize } = options;
    this.#stored = stored;
    this.#transcoder = transcoder;
    this.#cache = cache;
    this.#maxChunkSize = maxChunkSize;
    this.#scratch = (options.usesScratch ?? true) ? new Scratch() : undefined;
  }

  get label(): string {
    return this.#stored.label;
  }

  async has(id: ChunkId, options: SignalOption = {}): Promise<boolean> {
    return this.#stored.has(id, options);
  }

  async get(id: ChunkId, options: GetOptions = {}): Promise<Uint8Array> {
    const { signal, expectedSize, into } = options;
    const subject = this.#subject(id);
    const ceiling = expectedSize ?? this.#maxChunkSize;
    const scratch = options.room ? undefined : this.#scratch;
    const room = options.room ?? scratch?.take(Math.min(compressedRoom(ceiling), READ_ROOM));
    try {
      const reading = {
        maxSize: storedCeiling(ceiling),
        ...(room && { into: room }),
        ...(signal && { signal }),
      };
      const stored = await this.#read(id, subject, reading);
      const plain = await this.#transcoder.decode(id, stored, {
        subject,
        ...(expectedSize !== undefined && { expectedSize }),
        ...(into && { into }),
      });
      if (!stored.isPlain) await this.#keep(id, stored.bytes);
      return plain;
    } finally {
      if (room) scratch?.release(room);
    }
  }

  async put(
    id: ChunkId,
    plain: Uint8Array,
    options: SignalOption = {},
  ): Promise<'stored' | 'present'> {
    if (await this.#stored.has(id, options)) return 'present';
    const into = this.#scratch?.take(compressedRoom(plain.length));
    const proof = this.#scratch?.take(plain.length);
    try {
      const encoding = {
        subject: this.#subject(id),
        ...(into && { into }),
        ...(proof && { proof }),
      };
      const bytes = await this.#transcoder.encode(plain, encoding);
      return await this.#stored.putStored(id, bytes, { ...options, plainSize: plain.length });
    } finally {
      if (into) this.#scratch?.release(into);
      if (proof) this.#scratch?.release(proof);
    }
  }

  flush(options: SignalOption = {}): Promise<void> {
    return this.#stored.flush(options);
  }

  close(): Promise<void> {
    return this.#stored.close();
  }

  /** What cannot be kept is got again the next time. */
  async #keep(id: ChunkId, bytes: Uint8Array): Promise<void> {
    try {
      await this.#cache?.putStored(id, bytes, { replace: true });
    } catch (error) {
      if (!isCasError(error)) throw error;
    }
  }

  #subject(id: ChunkId): string {
    return `${this.label}: chunk ${id}`;
  }

  async #read(id: ChunkId, subject: string, options: GetStoredOptions): Promise<StoredChunk> {
    try {
      return await this.#stored.getStored(id, options);
    } catch (error) {
      if (!isCasError(error) || error.code !== 'LIMIT_EXCEEDED') throw error;
      throw chunkDamaged(subject, error.reason, error);
    }
  }
}
