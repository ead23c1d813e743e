/** Assembles records in memory, with the size field filled in at their end. For serializers. */
import { RECORD_HEADER_SIZE } from './record-types.ts';

const INITIAL_SIZE = 1024;
const TWO_POW_32 = 0x1_0000_0000;

export class RecordWriter {
  #bytes = new Uint8Array(INITIAL_SIZE);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #recordStart = 0;

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** Begins a record; its body follows. */
  begin(type: bigint): void {
    this.#reserve(RECORD_HEADER_SIZE);
    this.#recordStart = this.#length;
    this.#view.setBigUint64(this.#length + 8, type, true);
    this.#length += RECORD_HEADER_SIZE;
  }

  /** A bigint (modulo 2^64) or a non-negative safe integer. */
  u64(value: bigint | number): void {
    this.#reserve(8);
    if (typeof value === 'bigint') this.#view.setBigUint64(this.#length, value, true);
    else this.#setNumber(this.#length, value);
    this.#length += 8;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Bytes and a NUL. */
  text(bytes: Uint8Array): void {
    this.bytes(bytes);
    this.#reserve(1);
    this.#bytes[this.#length++] = 0;
  }

  /** Ends the record. @param missing bytes of the body that follow elsewhere */
  end(missing = 0): void {
    this.#setNumber(this.#recordStart, this.#length - this.#recordStart + missing);
  }

  /** Everything written, valid until something is written again; the writer starts afresh. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #setNumber(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
    this.#view.setUint32(offset + 4, value < TWO_POW_32 ? 0 : value / TWO_POW_32, true);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
