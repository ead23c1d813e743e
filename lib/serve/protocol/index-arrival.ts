/**
 * An index on its way: its chunks can be looked for before its end has arrived. Used by the server of
 * pushes (spec/remote.md, "Serving the protocol").
 */

import { readSize } from '../../../formats/bytes.ts';
import { type ChunkId, chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import type { ChunkIndex, IndexHeader } from '../../../formats/chunk-index.ts';
import { FormatError, LimitExceeded } from '../../../formats/errors.ts';
import {
  decodeIndex,
  decodeIndexHeader,
  INDEX_HEADER_SIZE,
  INDEX_ITEM_SIZE,
  INDEX_ITEMS_OFFSET,
} from '../../../formats/index-codec.ts';
import { ChunkIdSet } from '../../maintain/chunk-id-set.ts';

/** Bytes of an index, at most: 26 million chunks. */
const MAX_INDEX_SIZE = 1024 * 1024 * 1024;
const FIRST_CAPACITY = 64 * 1024;

export interface NamedChunk {
  readonly id: ChunkId;
  /** Plain bytes. */
  readonly size: number;
}

export class IndexArrival {
  readonly #maxSize: number;
  #bytes = new Uint8Array(FIRST_CAPACITY);
  #length = 0;
  #header: IndexHeader | undefined;
  #isComplete = false;
  /** Chunks that have been looked at. */
  #seenCount = 0;
  readonly #seen = new ChunkIdSet();

  constructor(maxSize = MAX_INDEX_SIZE) {
    this.#maxSize = maxSize;
  }

  /** What the index says besides its chunks, as soon as that is there. */
  get header(): IndexHeader | undefined {
    return this.#header;
  }

  /** @param bytes the next of the file; not kept. @throws FormatError | LimitExceeded */
  add(bytes: Uint8Array): void {
    this.#reserve(this.#length + bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    if (this.#header !== undefined || this.#length < INDEX_HEADER_SIZE) return;
    this.#header = decodeIndexHeader(this.#bytes.subarray(0, this.#length));
  }

  /** No more bytes come. @returns the index, checked. @throws FormatError */
  finish(): ChunkIndex {
    this.#isComplete = true;
    return decodeIndex(this.#bytes.subarray(0, this.#length));
  }

  /**
   * The next chunk that was not named before, undefined if it has not arrived yet.
   * @throws FormatError for a size that no chunk can have
   */
  next(): NamedChunk | undefined {
    for (;;) {
      const offset = INDEX_ITEMS_OFFSET + INDEX_ITEM_SIZE * this.#seenCount;
      // What is as long as a chunk and ends the file is none.
      if (this.#header === undefined || offset + 2 * INDEX_ITEM_SIZE > this.#length)
        return undefined;
      const i = this.#seenCount++;
      if (!this.#seen.add(this.#bytes, offset + 8)) continue;
      const start = i === 0 ? 0 : readSize(this.#bytes, offset - INDEX_ITEM_SIZE);
      const size = readSize(this.#bytes, offset) - start;
      if (size < 1 || size > this.#header.chunkSizes.max) {
        throw new FormatError('index', `item ${i}`, offset, 'no chunk can be so large or small');
      }
      return { id: chunkIdFromBytes(this.#bytes, offset + 8), size };
    }
  }

  /** Whether all chunks have been named, and no more will arrive. */
  get isUsedUp(): boolean {
    const rest = this.#length - INDEX_ITEMS_OFFSET - INDEX_ITEM_SIZE * this.#seenCount;
    return this.#isComplete && rest <= INDEX_ITEM_SIZE;
  }

  #reserve(length: number): void {
    if (length > this.#maxSize) {
      const reason = `more than ${this.#maxSize} bytes`;
      throw new LimitExceeded({ subject: 'index', step: 'receive', reason });
    }
    if (length <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
