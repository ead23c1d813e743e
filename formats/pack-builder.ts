/**
 * The index of a pack that is being written: entries in the order of their coming, which can be looked
 * up at once, and are sorted at the end (spec/formats/pack.md, "Index").
 */
import { readU32, writeU32, writeU64 } from './bytes.ts';
import { CHUNK_ID_LENGTH } from './chunk-id.ts';
import {
  comparePackIds,
  PACK_ENTRY_LENGTH,
  PACK_FAN_OUT_LENGTH,
  type PackEntry,
  packIndexLength,
} from './pack.ts';

const FIRST_CAPACITY = 1024;
const MAX_LOAD = 0.5;

/** Words of an id that tell apart where it lies in memory. */
const WORDS = 4;

export class PackIndexBuilder {
  readonly #multipliers: Uint32Array;
  #entries = new Uint8Array(FIRST_CAPACITY * PACK_ENTRY_LENGTH);
  /** Numbers of entries from 1 on, by their ids; 0 where there is none. */
  #slots = new Uint32Array(FIRST_CAPACITY / MAX_LOAD);
  #count = 0;

  /**
   * @param random numbers in [0, 1) that nobody can foresee, so that nobody can choose chunks whose ids all
   * meet in one place
   */
  constructor(random: () => number) {
    this.#multipliers = Uint32Array.from({ length: WORDS }, () => (random() * 2 ** 32) | 1);
  }

  get count(): number {
    return this.#count;
  }

  /** @param id 32 bytes at `at` */
  has(id: Uint8Array, at = 0): boolean {
    return this.#slots[this.#slotOf(id, at)] !== 0;
  }

  /** Takes an id that is not there yet. */
  add(id: Uint8Array, at: number, { offset, storedLength, plainLength }: PackEntry): void {
    if (this.#count * PACK_ENTRY_LENGTH === this.#entries.length) this.#grow();
    const start = this.#count * PACK_ENTRY_LENGTH;
    this.#entries.set(id.subarray(at, at + CHUNK_ID_LENGTH), start);
    writeU64(this.#entries, start + CHUNK_ID_LENGTH, offset);
    writeU32(this.#entries, start + CHUNK_ID_LENGTH + 8, storedLength);
    writeU32(this.#entries, start + CHUNK_ID_LENGTH + 12, plainLength);
    this.#count += 1;
    this.#slots[this.#slotOf(id, at)] = this.#count;
  }

  /** The index as it stands in the file. */
  encode(): Uint8Array {
    const order = Uint32Array.from({ length: this.#count }, (_, i) => i);
    const entries = this.#entries;
    order.sort((a, b) =>
      comparePackIds(entries, a * PACK_ENTRY_LENGTH, entries, b * PACK_ENTRY_LENGTH),
    );
    const index = new Uint8Array(packIndexLength(this.#count));
    const totals = new Uint32Array(PACK_FAN_OUT_LENGTH / 4);
    for (const [i, number] of order.entries()) {
      const start = number * PACK_ENTRY_LENGTH;
      const entry = entries.subarray(start, start + PACK_ENTRY_LENGTH);
      index.set(entry, PACK_FAN_OUT_LENGTH + i * PACK_ENTRY_LENGTH);
      totals[entry[0]] += 1;
    }
    let total = 0;
    for (const [i, here] of totals.entries()) {
      total += here;
      writeU32(index, i * 4, total);
    }
    return index;
  }

  /** Where an id is, or would be. */
  #slotOf(id: Uint8Array, at: number): number {
    const mask = this.#slots.length - 1;
    let hash = 0;
    for (let i = 0; i < WORDS; i++)
      hash ^= Math.imul(readU32(id, at + 4 * i), this.#multipliers[i]);
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot];
      if (number === 0) return slot;
      if (comparePackIds(this.#entries, (number - 1) * PACK_ENTRY_LENGTH, id, at) === 0)
        return slot;
    }
  }

  #grow(): void {
    const entries = new Uint8Array(this.#entries.length * 2);
    entries.set(this.#entries);
    this.#entries = entries;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let i = 0; i < this.#count; i++) {
      this.#slots[this.#slotOf(entries, i * PACK_ENTRY_LENGTH)] = i + 1;
    }
  }
}
