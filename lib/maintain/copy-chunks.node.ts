/**
 * Chunks of an index from stores into another one, as they are stored: verified on the way, but not
 * compressed again (spec/remote.md, "copy"). Used by `copy`.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import type { StoredChunkSource, StoredChunkStore } from '../../store/stored-chunk.ts';
import { type ChunkTranscoder, chunkDamaged, storedCeiling } from '../../store/transcoder.ts';
import { compressedRoom } from '../../store/transforms.ts';
import { throwIfAborted } from '../errors.ts';

/** Chunks that are under way at a time, and what they may take of the memory. */
const MOST_CHUNKS = 64;
const MOST_BYTES = 64 * 1024 * 1024;

/** Bytes of the memory that chunks pass through. */
export const COPY_MEMORY_SIZE = MOST_BYTES;

export interface CopyChunksOptions {
  /** Asked in this order; a chunk that is missing or damaged in one is looked for in the next. */
  readonly sources: readonly StoredChunkSource[];
  readonly target: StoredChunkStore;
  readonly transcoder: ChunkTranscoder;
  /** Of {@link COPY_MEMORY_SIZE}: seen by the threads that the transcoder works in. */
  readonly memory: ArrayBufferLike;
  readonly signal?: AbortSignal;
  /** Told of each chunk that is in the target now. @param storedSize 0 if it was there before */
  readonly onChunk: (plainSize: number, storedSize: number) => void;
}

/**
 * Copies what the target lacks. Nothing is durable before the target is flushed.
 * @param chunks numbers in the index, each chunk once
 * @throws ChunkMissing | ChunkDamaged | StorageError: the first failure, when nothing goes on any more
 */
export async function copyChunks(
  index: ChunkIndex,
  chunks: Iterable<number>,
  options: CopyChunksOptions,
): Promise<void> {
  const copying = new Copying(index, options);
  const iterator = chunks[Symbol.iterator]();
  const room = largestSize(index);
  const count = Math.max(1, Math.min(MOST_CHUNKS, Math.floor(MOST_BYTES / (3 * room))));
  // A chunk, and what was received.
  const slotSize = 2 * room;
  const isTooLarge = count * slotSize > options.memory.byteLength;
  const memory = isTooLarge ? new ArrayBuffer(count * slotSize) : options.memory;
  const slots = Array.from(
    { length: count },
    (_, i) => new Uint8Array(memory, i * slotSize, slotSize),
  );
  await Promise.all(slots.map((slot) => copying.work(iterator, slot)));
  copying.throwIfFailed();
}

function largestSize(index: ChunkIndex): number {
  let largest = 1;
  for (let i = 0; i < index.count; i++) largest = Math.max(largest, index.size(i));
  return largest;
}

interface ChunkMemory {
  /** As long as the chunk. */
  readonly into: Uint8Array;
  /** For its stored form. */
  readonly room: Uint8Array;
}

class Copying {
  readonly #index: ChunkIndex;
  readonly #options: CopyChunksOptions;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  #failure: { readonly error: unknown } | undefined;

  constructor(index: ChunkIndex, options: CopyChunksOptions) {
    const { signal } = options;
    this.#index = index;
    this.#options = options;
    const own = this.#failed.signal;
    this.#signal = signal === undefined ? own : AbortSignal.any([signal, own]);
  }

  /**
   * Copies one chunk after the other until there are none left, or something fails. Never throws.
   * @param slot twice as long as the largest chunk
   */
  async work(chunks: Iterator<number>, slot: Uint8Array): Promise<void> {
    while (this.#failure === undefined) {
      const next = chunks.next();
      if (next.done) return;
      try {
        await this.#copy(next.value, slot);
      } catch (error) {
        this.#failure ??= { error };
        this.#failed.abort(error);
      }
    }
  }

  throwIfFailed(): void {
    throwIfAborted(this.#options.signal);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #copy(chunk: number, slot: Uint8Array): Promise<void> {
    const { target, onChunk } = this.#options;
    const id = this.#index.id(chunk);
    const plainSize = this.#index.size(chunk);
    const signal = this.#signal;
    throwIfAborted(this.#options.signal);
    if (await target.has(id, { signal })) {
      onChunk(plainSize, 0);
      return;
    }
    const room = slot.subarray(slot.length / 2);
    const bytes = await this.#good(id, { into: slot.subarray(0, plainSize), room });
    const outcome = await target.putStored(id, bytes, { signal, plainSize });
    onChunk(plainSize, outcome === 'stored' ? bytes.length : 0);
  }

  /** The compressed chunk from the first source that has a good one. */
  async #good(id: ChunkId, memory: ChunkMemory): Promise<Uint8Array> {
    let failure: unknown;
    for (const source of this.#options.sources) {
      try {
        return await this.#from(source, id, memory);
      } catch (error) {
        if (!triesNext(error)) throw error;
        // That it is damaged says more than that it is missing elsewhere.
        if (failure === undefined || codeOf(failure) === 'CHUNK_MISSING') failure = error;
      }
    }
    throw failure;
  }

  async #from(
    source: StoredChunkSource,
    id: ChunkId,
    { into, room }: ChunkMemory,
  ): Promise<Uint8Array> {
    const { transcoder } = this.#options;
    const subject = `${source.label}: chunk ${id}`;
    const expectedSize = into.length;
    const maxSize = storedCeiling(expectedSize);
    const stored = await damageAsSuch(
      subject,
      source.getStored(id, { maxSize, into: room, signal: this.#signal }),
    );
    const plain = await transcoder.decode(id, stored, { subject, expectedSize, into });
    if (!stored.isPlain) return stored.bytes;
    const proof = new Uint8Array(expectedSize);
    return transcoder.encode(plain, {
      subject,
      into: new Uint8Array(compressedRoom(expectedSize)),
      proof,
    });
  }
}

/** An object that is too large is no chunk of its size. */
async function damageAsSuch<T>(subject: string, getting: Promise<T>): Promise<T> {
  try {
    return await getting;
  } catch (error) {
    if (codeOf(error) !== 'LIMIT_EXCEEDED') throw error;
    throw chunkDamaged(subject, isCasError(error) ? error.reason : '', error);
  }
}

function codeOf(error: unknown): string | undefined {
  return isCasError(error) ? error.code : undefined;
}

function triesNext(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'CHUNK_MISSING' || code === 'CHUNK_DAMAGED';
}
