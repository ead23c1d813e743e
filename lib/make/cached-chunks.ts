/**
 * The chunks that an encoder cache remembers, as rows of bytes in the order of the archive: 76 bytes a
 * chunk, in memory as in the file (spec/formats/cache.md, "File"). Used by the encoder cache.
 */
import { equalBytes, readU32, readU64, writeU32, writeU64 } from '../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';

/** Key, length, description, id. */
const ROW_LENGTH = 76;
const LENGTH_OFFSET = 8;
const DESCRIPTION_OFFSET = 12;
const ID_OFFSET = 44;

const MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x63, 0x68, 0x65, 0x0a, 0x01);
const CONTEXT_OFFSET = 8;
const COUNT_OFFSET = 40;
const HEADER_LENGTH = 48;
const EMPTY = -1;
/** Rows of one key that are looked at. */
const MOST_CANDIDATES = 8;

export class CachedChunks {
  #rows: Uint8Array;
  #count: number;
  #slots: Int32Array | undefined;

  /** @param rows kept, not copied */
  constructor(rows: Uint8Array = new Uint8Array(0)) {
    this.#rows = rows;
    this.#count = rows.length / ROW_LENGTH;
  }

  get count(): number {
    return this.#count;
  }

  /** Rows of {@link ROW_LENGTH} bytes. */
  get rows(): Uint8Array {
    return this.#rows.subarray(0, this.#count * ROW_LENGTH);
  }

  /** Adds a row, the id of which is filled in later. @returns its number */
  add(key: Uint8Array, length: number, description: Uint8Array): number {
    const start = this.#reserve();
    this.#rows.set(key, start);
    writeU32(this.#rows, start + LENGTH_OFFSET, length);
    this.#rows.set(description, start + DESCRIPTION_OFFSET);
    return this.#count++;
  }

  /** Adds a row of another table. @returns its number */
  addFrom({ rows }: CachedChunks, row: number): number {
    const start = this.#reserve();
    this.#rows.set(rows.subarray(row * ROW_LENGTH, (row + 1) * ROW_LENGTH), start);
    return this.#count++;
  }

  /** Length of the chunk in bytes. */
  length(row: number): number {
    return readU32(this.#rows, row * ROW_LENGTH + LENGTH_OFFSET);
  }

  key(row: number): Uint8Array {
    const start = row * ROW_LENGTH;
    return this.#rows.subarray(start, start + LENGTH_OFFSET);
  }

  describes(row: number, description: Uint8Array): boolean {
    const start = row * ROW_LENGTH + DESCRIPTION_OFFSET;
    return equalBytes(this.#rows.subarray(start, start + CHUNK_ID_LENGTH), description);
  }

  /** The 32 bytes of the chunk's id, to be read or filled in. */
  id(row: number): Uint8Array {
    const start = row * ROW_LENGTH + ID_OFFSET;
    return this.#rows.subarray(start, start + CHUNK_ID_LENGTH);
  }

  /** Rows that may begin as the key says; the caller compares the rest. */
  candidates(key: Uint8Array): readonly number[] {
    if (this.#count === 0) return [];
    this.#slots ??= this.#fillSlots();
    const slots = this.#slots;
    const found: number[] = [];
    for (let slot = slotOf(key, slots.length); slots[slot] !== EMPTY; slot = next(slot, slots)) {
      if (equalBytes(this.key(slots[slot]), key)) found.push(slots[slot]);
      if (found.length === MOST_CANDIDATES) break;
    }
    return found;
  }

  /** Offset of a new row. */
  #reserve(): number {
    const start = this.#count * ROW_LENGTH;
    if (start < this.#rows.length) return start;
    const larger = new Uint8Array(Math.max(64 * ROW_LENGTH, 2 * start));
    larger.set(this.#rows);
    this.#rows = larger;
    return start;
  }

  #fillSlots(): Int32Array {
    let size = 16;
    while (size < 2 * this.#count) size *= 2;
    const slots = new Int32Array(size).fill(EMPTY);
    for (let row = 0; row < this.#count; row++) {
      const key = this.key(row);
      let slot = slotOf(key, size);
      let same = 0;
      while (slots[slot] !== EMPTY && same < MOST_CANDIDATES) {
        if (equalBytes(this.key(slots[slot]), key)) same += 1;
        slot = next(slot, slots);
      }
      if (same < MOST_CANDIDATES) slots[slot] = row;
    }
    return slots;
  }
}

/** Keys are digests, so they need no hash; sizes are powers of two. */
function slotOf(key: Uint8Array, size: number): number {
  return readU32(key, 0) & (size - 1);
}

function next(slot: number, slots: Int32Array): number {
  return (slot + 1) & (slots.length - 1);
}

/**
 * The parts of a cache file, to be written one behind the other.
 * @param context 32 bytes that say what the chunks are those of
 * @param digest SHA-256
 */
export function encodeCache(
  chunks: CachedChunks,
  context: Uint8Array,
  digest: Digest,
): readonly Uint8Array[] {
  const header = new Uint8Array(HEADER_LENGTH);
  header.set(MAGIC);
  header.set(context, CONTEXT_OFFSET);
  writeU64(header, COUNT_OFFSET, chunks.count);
  return [header, chunks.rows, checksumOf([header, chunks.rows], digest)];
}

/**
 * @param bytes a whole file; kept, not copied
 * @param maxChunkSize what no chunk exceeds
 * @returns undefined for anything but an undamaged cache of the same context
 */
export function decodeCache(
  bytes: Uint8Array,
  context: Uint8Array,
  digest: Digest,
  maxChunkSize: number,
): CachedChunks | undefined {
  const end = bytes.length - CHUNK_ID_LENGTH;
  if (end < HEADER_LENGTH || (end - HEADER_LENGTH) % ROW_LENGTH !== 0) return undefined;
  if (!equalBytes(bytes.subarray(0, CONTEXT_OFFSET), MAGIC)) return undefined;
  if (!equalBytes(bytes.subarray(CONTEXT_OFFSET, COUNT_OFFSET), context)) return undefined;
  const count = (end - HEADER_LENGTH) / ROW_LENGTH;
  if (readU64(bytes, COUNT_OFFSET) !== BigInt(count)) return undefined;
  const sum = checksumOf([bytes.subarray(0, end)], digest);
  if (!equalBytes(bytes.subarray(end), sum)) return undefined;
  const chunks = new CachedChunks(bytes.subarray(HEADER_LENGTH, end));
  for (let row = 0; row < count; row++) {
    const length = chunks.length(row);
    if (length < 1 || length > maxChunkSize) return undefined;
  }
  return chunks;
}

function checksumOf(parts: readonly Uint8Array[], digest: Digest): Uint8Array {
  const running = digest.stream();
  for (const part of parts) running.update(part);
  const sum = new Uint8Array(CHUNK_ID_LENGTH);
  writeChunkId(running.finish(), sum, 0);
  return sum;
}
