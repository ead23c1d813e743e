/**
 * Finds chunks of an index by the digest of their bytes: which of them is it that a seed holds? Used
 * while seeds are searched.
 */
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { LengthFilter } from './length-filter.ts';

const EMPTY = -1;

/** A hash table with open addressing: 8 bytes for each chunk at most, digests are their own hash. */
export class WantedChunks {
  readonly #index: ChunkIndex;
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #digest = new Uint8Array(CHUNK_ID_LENGTH);
  readonly lengths = new LengthFilter();

  /** @param isWanted which chunks of the index are looked for; all if left out */
  constructor(index: ChunkIndex, isWanted: (chunk: number) => boolean = () => true) {
    this.#index = index;
    let size = 16;
    while (size < 2 * index.count) size *= 2;
    this.#slots = new Int32Array(size).fill(EMPTY);
    this.#mask = size - 1;
    for (let chunk = 0; chunk < index.count; chunk++) {
      if (!isWanted(chunk)) continue;
      this.lengths.add(index.size(chunk));
      const slot = this.#slotOf(index.idBytes(chunk));
      if (this.#slots[slot] === EMPTY) this.#slots[slot] = chunk;
    }
  }

  /**
   * The first wanted chunk with a digest, undefined if there is none.
   * @param digest 32 bytes
   */
  find(digest: Uint8Array): number | undefined {
    const chunk = this.#slots[this.#slotOf(digest)];
    return chunk === EMPTY ? undefined : chunk;
  }

  /** The same for an id. */
  findId(id: ChunkId): number | undefined {
    writeChunkId(id, this.#digest, 0);
    return this.find(this.#digest);
  }

  /** The slot of a digest, or the one that it would have. */
  #slotOf(digest: Uint8Array): number {
    let slot = (digest[0] | (digest[1] << 8) | (digest[2] << 16) | (digest[3] << 24)) & this.#mask;
    for (;;) {
      const chunk = this.#slots[slot];
      if (chunk === EMPTY || this.#holds(chunk, digest)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #holds(chunk: number, digest: Uint8Array): boolean {
    const bytes = this.#index.idBytes(chunk);
    for (let i = 0; i < CHUNK_ID_LENGTH; i++) if (bytes[i] !== digest[i]) return false;
    return true;
  }
}
