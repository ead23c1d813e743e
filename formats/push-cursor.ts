/**
 * Reading position in a byte stream that arrives in portions: gives records as one piece of memory,
 * without copying where a portion holds them whole. For parsers that are fed.
 */

const INITIAL_CARRY_SIZE = 256;
const NOTHING = new Uint8Array();

export class PushCursor {
  /** Holds the bytes asked for last, from {@link start} on. Valid until the cursor moves. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  #offset: number;
  #input: Uint8Array = NOTHING;
  #inputAt = 0;
  /** The begin of a piece whose rest has not arrived. */
  #carry: Uint8Array = NOTHING;
  #carried = 0;

  /** @param offset in the stream of the first byte to be fed */
  constructor(offset = 0) {
    this.#offset = offset;
  }

  /** Offset of the cursor in the stream. */
  get offset(): number {
    return this.#offset;
  }

  /** Offset in the stream of the next byte to be fed, once all that was fed is used up. */
  get nextOffset(): number {
    return this.#offset + this.#carried;
  }

  /** The next portion. The one before must be used up. */
  feed(bytes: Uint8Array): void {
    this.#input = bytes;
    this.#inputAt = 0;
  }

  /**
   * Tries to make the next `size` bytes available in {@link bytes}, without moving.
   * @returns whether they have arrived; if not, the portion is used up
   */
  has(size: number): boolean {
    const available = this.#input.length - this.#inputAt;
    if (this.#carried === 0 && available >= size) {
      this.bytes = this.#input;
      this.start = this.#inputAt;
      return true;
    }
    const missing = size - this.#carried;
    if (missing > 0) this.#collect(Math.min(missing, available));
    this.bytes = this.#carry;
    this.start = 0;
    return this.#carried >= size;
  }

  /** Moves behind bytes that {@link has} made available: all of those asked for last. */
  advance(size: number): void {
    this.#offset += size;
    if (this.#carried > 0) this.#carried = 0;
    else this.#inputAt += size;
  }

  /** Takes what has arrived of the next `size` bytes, as a view of the portion; may be empty. */
  take(size: number): Uint8Array {
    const end = Math.min(this.#inputAt + size, this.#input.length);
    const view = this.#input.subarray(this.#inputAt, end);
    this.#inputAt = end;
    this.#offset += view.length;
    return view;
  }

  /** Moves on, also over bytes that have not been fed and then never will be. */
  jump(size: number): void {
    this.#inputAt = Math.min(this.#inputAt + size, this.#input.length);
    this.#offset += size;
  }

  #collect(size: number): void {
    const end = this.#carried + size;
    if (end > this.#carry.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#carry.length, INITIAL_CARRY_SIZE));
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#carry.set(this.#input.subarray(this.#inputAt, this.#inputAt + size), this.#carried);
    this.#carried = end;
    this.#inputAt += size;
  }
}
