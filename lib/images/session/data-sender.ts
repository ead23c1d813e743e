/**
 * Blocks on their way to the other side, many of them in one message (spec/formats/session.md, "Data").
 */
import type { BlockRun } from '../../../formats/block-table.ts';
import { type DataRun, encodeData, IMAGE_KIND } from '../../../formats/session-images.ts';
import type { SessionConnection } from './connection.ts';

/** Bytes of blocks that go into a message together. */
const MESSAGE_SIZE = 1024 * 1024;
const MESSAGE_RUNS = 16_384;

/** Collects blocks in ascending order. */
export class DataSender {
  readonly #connection: SessionConnection;
  #runs: DataRun[] = [];
  readonly #digests = new Collected();
  readonly #bytes = new Collected();
  #sentBlockBytes = 0;

  constructor(connection: SessionConnection) {
    this.#connection = connection;
  }

  /** Bytes of blocks so far, but for zeros. */
  get sentBlockBytes(): number {
    return this.#sentBlockBytes;
  }

  /** Blocks and their digests, which are copied. */
  async data(run: BlockRun, digests: Uint8Array, bytes: Uint8Array): Promise<void> {
    const { length } = this.#bytes;
    if (length > 0 && length + bytes.length > MESSAGE_SIZE) await this.flush();
    this.#add(run, false);
    this.#digests.add(digests);
    this.#bytes.add(bytes);
    this.#sentBlockBytes += bytes.length;
    await this.#flushIfFull();
  }

  /** Blocks of nothing but zeros. */
  async zeros(run: BlockRun): Promise<void> {
    this.#add(run, true);
    await this.#flushIfFull();
  }

  /** Sends what has been collected. */
  async flush(): Promise<void> {
    if (this.#runs.length === 0) return;
    const [digests, bytes] = [this.#digests.take(), this.#bytes.take()];
    const allocate = (length: number) => this.#connection.lend(length);
    const content = encodeData({ runs: this.#runs, digests, bytes }, allocate);
    this.#runs = [];
    await this.#connection.sendLent(IMAGE_KIND.data, content);
  }

  #add({ first, count }: BlockRun, isZero: boolean): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.isZero === isZero && last.first + last.count === first) {
      this.#runs[this.#runs.length - 1] = { ...last, count: last.count + count };
    } else this.#runs.push({ first, count, isZero });
  }

  async #flushIfFull(): Promise<void> {
    if (this.#bytes.length >= MESSAGE_SIZE || this.#runs.length >= MESSAGE_RUNS) {
      await this.flush();
    }
  }
}

/** Bytes one behind the other, in memory that is kept. */
class Collected {
  #memory = new Uint8Array(64 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#memory.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#memory.length));
      larger.set(this.#memory.subarray(0, this.#length));
      this.#memory = larger;
    }
    this.#memory.set(bytes, this.#length);
    this.#length = end;
  }

  /** All of them, valid until more are added. */
  take(): Uint8Array {
    const bytes = this.#memory.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}
