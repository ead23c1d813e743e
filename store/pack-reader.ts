/**
 * Lookups in one pack (spec/formats/pack.md, "Reading"): only the few entries around the place where an
 * id must be are read, until it pays to have the index in memory.
 */
import { CHUNK_ID_LENGTH } from '../formats/chunk-id.ts';
import {
  decodePackEntry,
  decodePackFanOut,
  findPackEntry,
  PACK_ENTRY_LENGTH,
  PACK_FAN_OUT_LENGTH,
  type PackEntry,
  type PackLayout,
} from '../formats/pack.ts';

/** So many bytes of the file from an offset on, valid until it is called again. */
export type PackRead = (offset: number, length: number) => Uint8Array;

/** A chunk of a pack. */
export interface PackedChunk extends PackEntry {
  /** 32 bytes, valid until the next one is taken. */
  readonly id: Uint8Array;
}

/** An index is worth its memory once this share of it has been read in parts. */
const WORTH_SHARE = 1 / 4;
/** Entries that are read around a place, and one behind the other. */
const WINDOW = 64;
const ENTRIES_AT_ONCE = 4096;
/** Digests are spread evenly; whoever has made up others is found out after so many attempts. */
const MOST_GUESSES = 2;

export class PackReader {
  readonly layout: PackLayout;
  readonly #read: PackRead;
  readonly #totals: Uint32Array;
  /** Those that are in memory. */
  #entries: Uint8Array | undefined;
  /** Bytes of entries that lookups have read since they are not. */
  #readLength = 0;

  /** @throws FormatError if the counts of the index are wrong */
  constructor(layout: PackLayout, read: PackRead) {
    this.layout = layout;
    this.#read = read;
    this.#totals = decodePackFanOut(read(layout.indexOffset, PACK_FAN_OUT_LENGTH), layout);
  }

  /** Bytes of the index that are in memory. */
  get keptLength(): number {
    return this.#entries?.length ?? 0;
  }

  /** Whether lookups have read so much that {@link keepIndex} would have been cheaper. */
  get isWorthKeeping(): boolean {
    return this.#readLength >= this.layout.indexLength * WORTH_SHARE;
  }

  /** Takes the index into memory. */
  keepIndex(): void {
    const entries = new Uint8Array(this.layout.count * PACK_ENTRY_LENGTH);
    for (let first = 0; first < this.layout.count; first += ENTRIES_AT_ONCE) {
      const count = Math.min(ENTRIES_AT_ONCE, this.layout.count - first);
      entries.set(this.#entriesAt(first, count), first * PACK_ENTRY_LENGTH);
    }
    this.#entries = entries;
    this.#readLength = 0;
  }

  /** Leaves it in the file; it is worth keeping again when as much has been read once more. */
  dropIndex(): void {
    this.#entries = undefined;
    this.#readLength = 0;
  }

  /** @param id 32 bytes @throws FormatError if its entry is damaged */
  find(id: Uint8Array): PackEntry | undefined {
    const first = id[0] === 0 ? 0 : this.#totals[id[0] - 1];
    return this.#search(id, { first, end: this.#totals[id[0]] });
  }

  /** All chunks in the order of their ids. @throws FormatError */
  *chunks(): Generator<PackedChunk> {
    const { count } = this.layout;
    for (let first = 0; first < count; first += ENTRIES_AT_ONCE) {
      const here = Math.min(ENTRIES_AT_ONCE, count - first);
      const entries = this.#entriesAt(first, here).slice();
      for (let i = 0; i < here; i++) {
        const at = i * PACK_ENTRY_LENGTH;
        yield {
          id: entries.subarray(at, at + CHUNK_ID_LENGTH),
          ...decodePackEntry(entries, at, this.layout),
        };
      }
    }
  }

  #decode(entries: Uint8Array, number: number): PackEntry {
    return decodePackEntry(entries, number * PACK_ENTRY_LENGTH, this.layout);
  }

  #entriesAt(first: number, count: number): Uint8Array {
    const [start, length] = [first * PACK_ENTRY_LENGTH, count * PACK_ENTRY_LENGTH];
    if (this.#entries !== undefined) return this.#entries.subarray(start, start + length);
    return this.#read(this.layout.indexOffset + PACK_FAN_OUT_LENGTH + start, length);
  }

  #search(
    id: Uint8Array,
    { first, end }: { readonly first: number; readonly end: number },
  ): PackEntry | undefined {
    const share = (id[1] * 65536 + id[2] * 256 + id[3]) / 2 ** 24;
    let [low, high] = [first, end];
    for (let guesses = 0; low < high; guesses++) {
      const count = Math.min(WINDOW, high - low);
      const isGuessing = guesses < MOST_GUESSES;
      const middle = isGuessing ? first + share * (end - first) : (low + high) / 2;
      const wanted = Math.floor(middle - count / 2);
      const start = Math.max(low, Math.min(wanted, high - count));
      const entries = this.#entriesAt(start, count);
      if (this.#entries === undefined) this.#readLength += entries.length;
      const number = findPackEntry(entries, { first: 0, end: count }, id);
      if (number >= 0) return this.#decode(entries, number);
      const place = -1 - number;
      if (place === 0) high = start;
      else if (place === count) low = start + count;
      else return undefined;
    }
    return undefined;
  }
}
