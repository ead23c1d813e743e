/**
 * Chunks that are read one behind the other as they lie in a file: a few large reads instead of many small
 * ones. Used for packs.
 */

/** Fills `bytes` with those of the file from `offset` on. */
export type Fill = (bytes: Uint8Array, offset: number) => void;

/** Bytes that are read at once; chunks above this size are read alone. */
const WINDOW_LENGTH = 128 * 1024;

/** Part of a file that never changes. */
export class PackWindow {
  /** Bytes of the file that may be read. */
  readonly #end: number;
  readonly #fill: Fill;
  #bytes = new Uint8Array(0);
  #start = 0;
  #length = 0;
  /** Behind what was read last. */
  #next = -1;

  /** @param end where the chunks of the file end */
  constructor(end: number, fill: Fill) {
    this.#end = end;
    this.#fill = fill;
  }

  /** Fills `into`; what lies behind it is expected to be read next if it lay behind the last one itself. */
  read(into: Uint8Array, offset: number): void {
    const end = offset + into.length;
    const isNext = offset === this.#next;
    this.#next = end;
    if (isNext && !this.#has(offset, end) && into.length <= WINDOW_LENGTH / 2) this.#move(offset);
    if (!this.#has(offset, end)) this.#fill(into, offset);
    else into.set(this.#bytes.subarray(offset - this.#start, end - this.#start));
  }

  /** Gives the memory back. */
  drop(): void {
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }

  #has(offset: number, end: number): boolean {
    return offset >= this.#start && end <= this.#start + this.#length;
  }

  #move(offset: number): void {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(WINDOW_LENGTH);
    this.#length = 0;
    const length = Math.min(WINDOW_LENGTH, this.#end - offset);
    this.#fill(this.#bytes.subarray(0, length), offset);
    this.#start = offset;
    this.#length = length;
  }
}
