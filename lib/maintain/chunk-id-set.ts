/**
 * A set of chunk ids for millions of them: 16 bytes a slot in one typed array. Used to tell the chunks
 * that indexes need from all others, and to count what is distinct.
 */
import { CHUNK_ID_LENGTH } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';

/** Of each id the first 128 bits are kept: as good as all of them to tell digests apart. */
const WORDS = 4;
const FIRST_CAPACITY = 1024;
const MAX_LOAD = 0.7;

/** Ids that are equal in 128 bits count as one: for cleaning up, an error to the safe side. */
export class ChunkIdSet {
  /** Odd numbers that nobody can foresee, so that nobody can choose ids that all meet in one slot. */
  readonly #multipliers = Uint32Array.from({ length: WORDS }, () => (Math.random() * 2 ** 32) | 1);
  #slots = new Uint32Array(FIRST_CAPACITY * WORDS);
  #count = 0;
  #hasZero = false;

  /** Distinct ids in the set. */
  get count(): number {
    return this.#count + (this.#hasZero ? 1 : 0);
  }

  /**
   * @param bytes 32 bytes of an id at `offset`; not kept
   * @returns whether it is new
   */
  add(bytes: Uint8Array, offset = 0): boolean {
    const id = words(bytes, offset);
    if (isZero(id)) {
      const isNew = !this.#hasZero;
      this.#hasZero = true;
      return isNew;
    }
    if ((this.#count + 1) * WORDS > MAX_LOAD * this.#slots.length) this.#grow();
    const slot = this.#slotOf(id);
    if (!this.#isFree(slot)) return false;
    this.#slots.set(id, slot);
    this.#count += 1;
    return true;
  }

  /** @param bytes 32 bytes of an id at `offset` */
  has(bytes: Uint8Array, offset = 0): boolean {
    const id = words(bytes, offset);
    return isZero(id) ? this.#hasZero : !this.#isFree(this.#slotOf(id));
  }

  /** Adds all chunks of an index. @param onNew called with the number of each that is new */
  addIndex(index: ChunkIndex, onNew?: (chunk: number) => void): void {
    for (let i = 0; i < index.count; i++) if (this.add(index.idBytes(i))) onNew?.(i);
  }

  #isFree(slot: number): boolean {
    const slots = this.#slots;
    return (slots[slot] | slots[slot + 1] | slots[slot + 2] | slots[slot + 3]) === 0;
  }

  /** Where an id is, or would be. */
  #slotOf(id: Uint32Array): number {
    const mask = this.#slots.length / WORDS - 1;
    let hash = 0;
    for (let i = 0; i < WORDS; i++) hash ^= Math.imul(id[i], this.#multipliers[i]);
    hash ^= hash >>> 15;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = place * WORDS;
      if (this.#isFree(slot) || this.#equals(slot, id)) return slot;
    }
  }

  #equals(slot: number, id: Uint32Array): boolean {
    for (let i = 0; i < WORDS; i++) if (this.#slots[slot + i] !== id[i]) return false;
    return true;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (let slot = 0; slot < before.length; slot += WORDS) {
      const id = before.subarray(slot, slot + WORDS);
      if (!isZero(id)) this.#slots.set(id, this.#slotOf(id));
    }
  }
}

const scratch = new Uint32Array(WORDS);

/** The part of an id that is kept; valid until the next call. */
function words(bytes: Uint8Array, offset: number): Uint32Array {
  if (bytes.length < offset + CHUNK_ID_LENGTH) throw new TypeError('not a chunk id');
  for (let i = 0; i < WORDS; i++) {
    const at = offset + 4 * i;
    scratch[i] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }
  return scratch;
}

function isZero(id: Uint32Array): boolean {
  return (id[0] | id[1] | id[2] | id[3]) === 0;
}
