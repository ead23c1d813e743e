/**
 * Chunks that an index names more than once, kept for a while after they were fetched over a network.
 * Used where the same chunk would otherwise be transferred again.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';

/** Bytes of the chunks that are kept. */
const KEPT_BYTES = 16 * 1024 * 1024;

export class RepeatedChunks {
  readonly #repeated = new ChunkIdSet();
  /** The one used last stands last. */
  readonly #kept = new Map<ChunkId, Uint8Array>();
  #bytes = 0;

  constructor(index: ChunkIndex) {
    const seen = new ChunkIdSet();
    for (let chunk = 0; chunk < index.count; chunk++) {
      const bytes = index.idBytes(chunk);
      if (!seen.add(bytes)) this.#repeated.add(bytes);
    }
  }

  /** The bytes of a chunk, which belong to us, if they are still here. */
  find(id: ChunkId): Uint8Array | undefined {
    const bytes = this.#kept.get(id);
    if (bytes === undefined) return undefined;
    this.#kept.delete(id);
    this.#kept.set(id, bytes);
    return bytes;
  }

  /** @param digest the 32 bytes of the id. @param bytes of the chunk; copied if it is of use */
  keep(id: ChunkId, digest: Uint8Array, bytes: Uint8Array): void {
    if (!this.#repeated.has(digest) || this.#kept.has(id)) return;
    this.#kept.set(id, bytes.slice());
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
