/** Turns a stream of bytes, pushed in any portions, into whole chunks. Used by every `make`. */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { PipelineError } from '../errors.ts';
import type { ChunkScanner } from './scanner.ts';

const FIRST_CAPACITY = 65536;

/**
 * The chunks come out as contiguous views, each valid until the iteration goes on. A chunk that lies
 * within one portion is a view of that portion; only the others are copied together.
 */
export class Splitter {
  readonly #scanner: ChunkScanner;
  readonly #maxSize: number;
  /** Holds the begin of a chunk whose end has not been pushed yet. */
  #buffer = new Uint8Array(0);
  #length = 0;

  /** @param scanner at the start of an input; belongs to the splitter from now on */
  constructor(scanner: ChunkScanner, chunkSizes: ChunkSizes) {
    this.#scanner = scanner;
    this.#maxSize = chunkSizes.max;
  }

  /**
   * The chunks that `bytes` complete. Must be iterated to the end before the next call; `bytes` must
   * not change until then.
   * @throws PipelineError `USAGE` where the chunk sizes do not allow to cut this input
   */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    let rest = bytes;
    while (rest.length > 0) {
      const length = this.#scanner.scan(rest);
      if (length < 0) {
        this.#keep(rest);
        return;
      }
      yield this.#complete(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  }

  /** What is left, as the last chunk. @throws PipelineError like {@link push} */
  *end(): Generator<Uint8Array> {
    if (this.#length > 0) yield this.#complete(new Uint8Array(0));
  }

  #complete(tail: Uint8Array): Uint8Array {
    if (this.#length === 0) return this.#checked(tail);
    this.#keep(tail);
    const chunk = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return this.#checked(chunk);
  }

  /** The hash needs 48 bytes, so a smaller maximum cannot always be kept (chunker.md, "Cut rule"). */
  #checked(chunk: Uint8Array): Uint8Array {
    if (chunk.length <= this.#maxSize) return chunk;
    throw new PipelineError('USAGE', {
      step: 'cut into chunks',
      reason: `chunk of ${chunk.length} bytes exceeds the maximum chunk size of ${this.#maxSize}`,
    });
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(FIRST_CAPACITY, 2 * this.#buffer.length, length));
      buffer.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = buffer;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}
