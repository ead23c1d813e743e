/**
 * Trees whose events are taken one at a time, so that two of them can be compared side by side; and the
 * reader of archives. Used by diff and verify.
 */
import type { CatarEvent } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { about } from '../../formats/errors.ts';
import { RECORD_HEADER_SIZE } from '../../formats/record-types.ts';
import { throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { ByteSource } from '../read/byte-source.ts';
import type { IndexPlace } from './equal-chunks.ts';

export interface TreeReader {
  /**
   * The next event, undefined at the end; a promise where that has to be waited for. What an event
   * holds is valid until the next is taken.
   * @throws FormatError and other CasErrors
   */
  next(): CatarEvent | undefined | Promise<CatarEvent | undefined>;
  /**
   * Leaves out some bytes of the content of the file that was entered last, beginning with the next, or
   * all that are left.
   */
  skipContent(length?: number): void;
  /** Where the content of the file lies that was entered just now; undefined without index. */
  readonly contentPlace: IndexPlace | undefined;
}

export interface ArchiveReaderOptions {
  /** Of the archive, if there is one. */
  readonly index?: ChunkIndex;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** Reads an archive. The source stays open. */
export class ArchiveReader implements TreeReader {
  readonly #source: ByteSource;
  readonly #options: ArchiveReaderOptions;
  readonly #parser: CatarParser;
  #events: Iterator<CatarEvent> | undefined;
  #first: CatarEvent | undefined;

  constructor(source: ByteSource, options: ArchiveReaderOptions = {}) {
    const { index } = options;
    this.#source = source;
    this.#options = options;
    this.#parser = new CatarParser(index ? { expectedFlags: index.featureFlags } : {});
  }

  get contentPlace(): IndexPlace | undefined {
    const { index } = this.#options;
    return index && { index, offset: this.#parser.recordOffset + RECORD_HEADER_SIZE };
  }

  /** What the archive records; reads its begin. To be called before all else. */
  async readFlags(): Promise<bigint> {
    this.#first = await this.#read();
    if (this.#first?.kind !== 'enter') throw new TypeError('the archive was begun already');
    return this.#first.node.featureFlags;
  }

  next(): CatarEvent | undefined | Promise<CatarEvent | undefined> {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#ready() ?? this.#read();
  }

  skipContent(length = Number.POSITIVE_INFINITY): void {
    this.#parser.skipLength = length;
  }

  /** An event of the bytes that were read last. */
  #ready(): CatarEvent | undefined {
    if (this.#events === undefined) return undefined;
    try {
      const { done, value } = this.#events.next();
      if (done === true) return undefined;
      if (value.kind === 'leave') this.#parser.skipLength = 0;
      return value;
    } catch (error) {
      throw about(this.#source.label, error);
    }
  }

  async #read(): Promise<CatarEvent | undefined> {
    const parser = this.#parser;
    while (!parser.done) {
      throwIfAborted(this.#options.signal);
      const bytes = await this.#source.read(parser.nextOffset);
      if (bytes.length === 0) this.#end();
      this.#events = parser.push(bytes)[Symbol.iterator]();
      this.#options.onProgress?.(progressOf('compare', parser.nextOffset, this.#source.size));
      const event = this.#ready();
      if (event !== undefined) return event;
    }
    return undefined;
  }

  #end(): void {
    try {
      this.#parser.end();
    } catch (error) {
      throw about(this.#source.label, error);
    }
  }
}
