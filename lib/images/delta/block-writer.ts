/** Puts blocks together, so that few large writes are made of many small ones. */

export interface BlockPlace {
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** @returns whether no zeros were written */
  zero(offset: number, length: number): Promise<boolean>;
}

const LENGTH = 1024 * 1024;

/** Takes bytes and zeros in ascending order. */
export class BlockWriter {
  readonly #place: BlockPlace;
  readonly #bytes = new Uint8Array(LENGTH);
  #start = 0;
  #length = 0;
  #isZero = false;
  #writtenBytes = 0;
  #holeBytes = 0;

  constructor(place: BlockPlace) {
    this.#place = place;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get holeBytes(): number {
    return this.#holeBytes;
  }

  async add(bytes: Uint8Array, offset: number): Promise<void> {
    const isContinued = !this.#isZero && offset === this.#start + this.#length;
    if (!isContinued || this.#length + bytes.length > LENGTH) await this.flush();
    if (bytes.length > LENGTH) {
      await this.#place.write(bytes, offset);
      this.#writtenBytes += bytes.length;
      return;
    }
    if (this.#length === 0) this.#start = offset;
    this.#isZero = false;
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async addZeros(offset: number, length: number): Promise<void> {
    const isContinued = this.#isZero && offset === this.#start + this.#length;
    if (!isContinued) await this.flush();
    if (this.#length === 0) this.#start = offset;
    this.#isZero = true;
    this.#length += length;
  }

  async flush(): Promise<void> {
    const [start, length] = [this.#start, this.#length];
    this.#length = 0;
    if (length === 0) return;
    if (!this.#isZero) {
      await this.#place.write(this.#bytes.subarray(0, length), start);
      this.#writtenBytes += length;
    } else if (await this.#place.zero(start, length)) this.#holeBytes += length;
    else this.#writtenBytes += length;
  }
}
