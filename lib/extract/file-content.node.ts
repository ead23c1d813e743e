/** Writes the content of one extracted file, zeros left out as holes. Used by tree extraction. */
import { ftruncateSync } from 'node:fs';
import { systemFailure } from '../os/system-error.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import { wrongLength } from './entry-sink.node.ts';
import { dataSpans } from './sparse.node.ts';

/** Small pieces are collected, so that a small file is one write. */
const STAGE_SIZE = 256 * 1024;
/** Memory for the next file: mostly one is written at a time, but several trees may be restored at once. */
const spare: Buffer[] = [];
const MOST_SPARE = 2;

export class FileContent {
  readonly #fd: number;
  readonly #size: number;
  readonly #punchHoles: boolean;
  #stage: Buffer | undefined;
  #staged = 0;
  /** Bytes given to the system or left out as hole. */
  #position = 0;
  /** End of the last byte that was really written; unknown after what was there at the begin. */
  #dataEnd: number;
  #holeBytes = 0;

  /**
   * @param size bytes of the whole content.
   * @param start bytes of it that are there already; the others will come, exactly.
   */
  constructor(fd: number, size: number, punchHoles: boolean, start = 0) {
    this.#fd = fd;
    this.#size = size;
    this.#punchHoles = punchHoles;
    this.#position = start;
    this.#dataEnd = start === 0 ? 0 : -1;
  }

  /** Zero bytes that were left out. */
  get holeBytes(): number {
    return this.#holeBytes;
  }

  /** The next bytes; they may be reused afterwards. @throws PipelineError without subject */
  write(bytes: Uint8Array): void {
    const done = this.#position + this.#staged + bytes.length;
    if (done > this.#size) throw wrongLength();
    if (this.#staged + bytes.length > STAGE_SIZE) this.#flush();
    const last = done === this.#size && this.#staged === 0;
    if (last || bytes.length > STAGE_SIZE) {
      this.#put(bytes);
      return;
    }
    this.#stage ??= spare.pop() ?? Buffer.allocUnsafeSlow(STAGE_SIZE);
    this.#stage.set(bytes, this.#staged);
    this.#staged += bytes.length;
  }

  /** The same as writing so many zeros. @throws PipelineError without subject */
  skip(length: number): void {
    this.#flush();
    if (this.#position + length > this.#size) throw wrongLength();
    if (this.#punchHoles) {
      this.#holeBytes += length;
      this.#position += length;
      return;
    }
    const zeros = new Uint8Array(Math.min(length, STAGE_SIZE));
    for (let left = length; left > 0; left -= zeros.length) {
      this.#put(zeros.subarray(0, Math.min(left, zeros.length)));
    }
  }

  /** Gives the file its exact length. @throws PipelineError without subject */
  finish(): void {
    this.#flush();
    if (this.#stage !== undefined && spare.length < MOST_SPARE) spare.push(this.#stage);
    this.#stage = undefined;
    if (this.#position !== this.#size) throw wrongLength();
    if (this.#dataEnd === this.#size) return;
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch (error) {
      throw systemFailure('set length', error);
    }
  }

  #flush(): void {
    const staged = this.#stage?.subarray(0, this.#staged);
    this.#staged = 0;
    if (staged !== undefined && staged.length > 0) this.#put(staged);
  }

  #put(bytes: Uint8Array): void {
    const whole = [{ start: 0, end: bytes.length }];
    const spans = this.#punchHoles ? dataSpans(bytes, this.#position) : whole;
    let length = 0;
    for (const { start, end } of spans) {
      this.#writeAt(bytes.subarray(start, end), start);
      length += end - start;
    }
    this.#holeBytes += bytes.length - length;
    this.#position += bytes.length;
  }

  #writeAt(bytes: Uint8Array, start: number): void {
    const offset = this.#position + start;
    try {
      writeFullySync(this.#fd, bytes, offset);
    } catch (error) {
      throw systemFailure('write', error);
    }
    this.#dataEnd = offset + bytes.length;
  }
}
