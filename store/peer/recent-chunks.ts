/**
 * Chunks that have come a short time ago. Used where the other side gives each of them only once in a
 * conversation, and another conversation costs more than a little memory.
 */

import type { ChunkId } from '../../formats/chunk-id.ts';
import { copied } from '../callers-memory.ts';
import type { StoredChunk } from '../stored-chunk.ts';

const MAX_BYTES = 32 * 1024 * 1024;

export class RecentChunks {
  /** The one used longest ago first. */
  readonly #chunks = new Map<ChunkId, StoredChunk>();
  #size = 0;

  /** The chunk in memory of its own, or at the beginning of `into` if it fits. */
  get(id: ChunkId, into: Uint8Array | undefined): StoredChunk | undefined {
    const chunk = this.#chunks.get(id);
    if (chunk === undefined) return undefined;
    this.#chunks.delete(id);
    this.#chunks.set(id, chunk);
    return { bytes: copied(chunk.bytes, into), isPlain: chunk.isPlain };
  }

  /** @param chunk whose bytes are copied */
  add(id: ChunkId, { bytes, isPlain }: StoredChunk): void {
    if (this.#chunks.has(id) || bytes.length > MAX_BYTES / 8) return;
    this.#chunks.set(id, { bytes: bytes.slice(), isPlain });
    this.#size += bytes.length;
    for (const [oldest, chunk] of this.#chunks) {
      if (this.#size <= MAX_BYTES) return;
      this.#chunks.delete(oldest);
      this.#size -= chunk.bytes.length;
    }
  }
}
