/**
 * The chunks of one blob or archive in order, and the builder that collects them. Column storage:
 * ten million chunks are two typed arrays of 40 bytes a chunk, not ten million objects.
 */
import {
  CHUNK_ID_LENGTH,
  type ChunkId,
  chunkIdFromBytes,
  type DigestName,
  writeChunkId,
} from './chunk-id.ts';
import type { ChunkSizes } from './chunk-sizes.ts';
import { digestOfFlags } from './feature-flags.ts';

/** What an index says besides its chunks. */
export interface IndexHeader {
  readonly featureFlags: bigint;
  readonly chunkSizes: ChunkSizes;
}

export class ChunkIndex implements IndexHeader {
  readonly featureFlags: bigint;
  readonly chunkSizes: ChunkSizes;
  readonly count: number;
  readonly #ends: Float64Array;
  readonly #ids: Uint8Array;

  /** @param ends running sums of the chunk sizes. @param ids 32 bytes a chunk. Both are kept, not copied. */
  constructor(header: IndexHeader, ends: Float64Array, ids: Uint8Array) {
    this.featureFlags = header.featureFlags;
    this.chunkSizes = header.chunkSizes;
    this.count = ends.length;
    this.#ends = ends;
    this.#ids = ids;
  }

  /** The digest that names the chunks; part of the feature flags. */
  get digest(): DigestName {
    return digestOfFlags(this.featureFlags);
  }

  /** Sum of all chunk sizes in bytes. */
  get totalSize(): number {
    return this.count === 0 ? 0 : this.#ends[this.count - 1];
  }

  /** Offset of the first byte of chunk `i`. */
  start(i: number): number {
    return i === 0 ? 0 : this.#ends[i - 1];
  }

  /** Offset behind the last byte of chunk `i`. */
  end(i: number): number {
    return this.#ends[i];
  }

  /** Bytes in chunk `i`. */
  size(i: number): number {
    return this.end(i) - this.start(i);
  }

  id(i: number): ChunkId {
    return chunkIdFromBytes(this.#ids, i * CHUNK_ID_LENGTH);
  }

  /** The 32 bytes of the id of chunk `i`; aliases the index. */
  idBytes(i: number): Uint8Array {
    return this.#ids.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
  }

  /** The ids of some chunks, 32 bytes each, in memory of their own. */
  digestsOf(chunks: readonly number[]): Uint8Array {
    const digests = new Uint8Array(chunks.length * CHUNK_ID_LENGTH);
    for (const [i, chunk] of chunks.entries()) {
      digests.set(this.idBytes(chunk), i * CHUNK_ID_LENGTH);
    }
    return digests;
  }

  /** Number of the chunk that holds byte `offset`, for 0 <= offset < totalSize. */
  chunkAt(offset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle] > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Collects chunks in stream order. */
export class IndexBuilder {
  #ends = new Float64Array(1024);
  #ids = new Uint8Array(1024 * CHUNK_ID_LENGTH);
  #count = 0;

  /** Chunks added so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes covered so far. */
  get totalSize(): number {
    return this.#count === 0 ? 0 : this.#ends[this.#count - 1];
  }

  add(id: ChunkId, size: number): void {
    this.#reserve();
    writeChunkId(id, this.#ids, this.#count * CHUNK_ID_LENGTH);
    this.#addEnd(size);
  }

  /** The same, with the id as bytes. @param digests of several chunks. @param i number of this one */
  addDigest(digests: Uint8Array, i: number, size: number): void {
    const digest = digests.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
    this.#reserve();
    this.#ids.set(digest, this.#count * CHUNK_ID_LENGTH);
    this.#addEnd(size);
  }

  /** The index of all chunks added so far. The builder must not be used afterwards. */
  finish(header: IndexHeader): ChunkIndex {
    const ids = this.#ids.subarray(0, this.#count * CHUNK_ID_LENGTH);
    return new ChunkIndex(header, this.#ends.subarray(0, this.#count), ids);
  }

  #addEnd(size: number): void {
    const end = this.totalSize + size;
    this.#ends[this.#count++] = end;
  }

  #reserve(): void {
    if (this.#count < this.#ends.length) return;
    const ends = new Float64Array(this.#ends.length * 2);
    const ids = new Uint8Array(this.#ids.length * 2);
    ends.set(this.#ends);
    ids.set(this.#ids);
    this.#ends = ends;
    this.#ids = ids;
  }
}
