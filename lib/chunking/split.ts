/** Turns a stream of bytes, pushed in any portions, into whole chunks. Used by every `make`. */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import type { ChunkScanner } from './scanner.ts';

/** Portions are collected to several chunks, so that few bytes are moved per chunk. */
const CAPACITY_CHUNKS = 4;
const SMALLEST_MAXIMUM = 65536;

/** The chunks come out as contiguous views, each valid until the iteration goes on. */
export class Splitter {
  readonly #scanner: ChunkScanner;
  /** With so many bytes at hand the scanner needs to know nothing of what follows. */
  readonly #enough: number;
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;

  constructor(scanner: ChunkScanner, chunkSizes: ChunkSizes) {
    this.#scanner = scanner;
    this.#enough = Math.max(SMALLEST_MAXIMUM, chunkSizes.max);
  }

  /**
   * The chunks that `bytes` complete. Must be iterated to the end before the next call; `bytes` must
   * not change until then.
   * @throws PipelineError `USAGE` where the chunk sizes do not allow to cut this input
   */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    let rest = bytes;
    while (rest.length > 0) {
      const taken = rest.subarray(0, this.#makeRoom(rest.length));
      this.#buffer.set(taken, this.#end);
      this.#end += taken.length;
      rest = rest.subarray(taken.length);
      while (this.#end - this.#start >= this.#enough) yield this.#next();
    }
  }

  /** What is left, as the last chunks. @throws PipelineError like {@link push} */
  *end(): Generator<Uint8Array> {
    while (this.#start < this.#end) yield this.#next();
  }

  #next(): Uint8Array {
    const bytes = this.#buffer.subarray(this.#start, this.#end);
    const length = this.#scanner.firstChunk(bytes);
    this.#start += length;
    return bytes.subarray(0, length);
  }

  /** @returns how many of the wanted bytes fit behind the end */
  #makeRoom(wanted: number): number {
    const free = this.#buffer.length - this.#end;
    if (free >= Math.min(wanted, this.#enough)) return Math.min(wanted, free);
    const held = this.#end - this.#start;
    const capacity = Math.min(CAPACITY_CHUNKS * this.#enough, 2 * (held + wanted));
    if (capacity > this.#buffer.length) {
      const buffer = new Uint8Array(capacity);
      buffer.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = buffer;
    } else {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = held;
    return Math.min(wanted, this.#buffer.length - held);
  }
}
