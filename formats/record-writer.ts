/** Assembles records in memory, with the size field filled in at their end. For serializers. */
import { writeU64 } from './bytes.ts';
import { RECORD_HEADER_SIZE } from './record-types.ts';

const INITIAL_SIZE = 1024;

export class RecordWriter {
  #bytes = new Uint8Array(INITIAL_SIZE);
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
    writeU64(this.#bytes, this.#length + 8, type);
    this.#length += RECORD_HEADER_SIZE;
  }

  u64(value: bigint | number): void {
    this.#reserve(8);
    writeU64(this.#bytes, this.#length, value);
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
    const size = this.#length - this.#recordStart + missing;
    writeU64(this.#bytes, this.#recordStart, size);
  }

  /** Everything written, as an array of its own; the writer starts afresh. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
