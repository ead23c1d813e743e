/** The data of one NBD write, as it arrives: given to the export piece by piece, or swallowed. */
import type { NbdFault, NbdRequest } from '../../../formats/nbd-requests.ts';
import type { BufferPool } from '../buffer-pool.ts';
import type { BlockWriter } from './block-export.ts';
import type { ClientMemory } from './client-memory.ts';
import { PIECE_BYTES } from './limits.ts';

export interface IncomingWriteOptions {
  /** Absent where nothing is written. */
  readonly writer: BlockWriter | undefined;
  readonly memory: ClientMemory;
  readonly pool: BufferPool;
  /** Why the data is swallowed. */
  readonly fault: NbdFault | undefined;
}

export class IncomingWrite {
  readonly request: NbdRequest;
  readonly fault: NbdFault | undefined;
  readonly #options: IncomingWriteOptions;
  #arrived = 0;
  /** The piece that is being filled. */
  #piece: Uint8Array | undefined;
  #filled = 0;
  readonly #writes: Promise<void>[] = [];
  #hasFailed = false;
  #isAbandoned = false;

  constructor(request: NbdRequest, options: IncomingWriteOptions) {
    this.request = request;
    this.fault = options.fault;
    this.#options = options;
  }

  get isComplete(): boolean {
    return this.#arrived === this.request.length;
  }

  /**
   * Takes the next bytes.
   * @returns a promise where memory has to be waited for; the bytes must stay until then
   * @throws CasError `ABORTED` when the client has gone
   */
  take(bytes: Uint8Array): Promise<void> | undefined {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.fault !== undefined || this.#hasFailed) {
        this.#drop();
        this.#arrived += rest.length;
        return undefined;
      }
      if (this.#piece === undefined) {
        const size = Math.min(PIECE_BYTES, this.request.length - this.#arrived);
        const waiting = this.#options.memory.take(size);
        if (waiting !== undefined) {
          return waiting.then(() => {
            if (this.#isAbandoned) {
              this.#options.memory.give(size);
              return undefined;
            }
            this.#begin(size);
            return this.take(rest);
          });
        }
        this.#begin(size);
      }
      rest = rest.subarray(this.#fill(rest));
    }
    return undefined;
  }

  /** Resolves when everything is written. @throws what the first piece that failed throws */
  async finish(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** No more data comes. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#drop();
  }

  /** Gives up the piece that is not full. */
  #drop(): void {
    const piece = this.#piece;
    if (piece === undefined) return;
    this.#piece = undefined;
    this.#release(piece);
  }

  #begin(size: number): void {
    this.#piece = this.#options.pool.take(size);
    this.#filled = 0;
  }

  /** @returns how many bytes fit */
  #fill(bytes: Uint8Array): number {
    const piece = this.#piece;
    if (piece === undefined) return 0;
    const part = bytes.subarray(0, piece.length - this.#filled);
    piece.set(part, this.#filled);
    this.#filled += part.length;
    this.#arrived += part.length;
    if (this.#filled === piece.length) {
      this.#piece = undefined;
      const write = this.#write(piece);
      // Told by `finish`, which comes later.
      write.catch(() => {});
      this.#writes.push(write);
    }
    return part.length;
  }

  async #write(piece: Uint8Array): Promise<void> {
    const offset = this.request.offset + this.#arrived - piece.length;
    try {
      await this.#options.writer?.write(offset, piece);
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    } finally {
      this.#release(piece);
    }
  }

  #release(piece: Uint8Array): void {
    const { pool, memory } = this.#options;
    pool.release(piece);
    memory.give(piece.length);
  }
}
