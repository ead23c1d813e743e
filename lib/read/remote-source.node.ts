/**
 * The bytes of an archive on another machine: in one stream while they are taken in order, in ranges
 * where somebody jumps. Used for archives named by a URL or ssh locator.
 */
import type { RemoteFile } from '../../store/remote-file.ts';
import { PipelineError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

/** A range is as long as this at first, and longer while reading goes on behind it. */
const FIRST_RANGE = 64 * 1024;
const LONGEST_RANGE = 4 * 1024 * 1024;
/** Fewer bytes than this are read and thrown away rather than jumped over. */
const WORTH_A_JUMP = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** @param file stays open */
export async function openRemoteSource(
  file: RemoteFile,
  signal: AbortSignal | undefined,
): Promise<ByteSource> {
  const options = signal ? { signal } : {};
  const { size, hasRanges } = await file.stat(options);
  const reader = new RemoteReader(file, hasRanges, options);
  return {
    label: file.label,
    ...(size !== undefined && { size }),
    seekable: hasRanges && size !== undefined,
    read: (offset, end) => reader.read(offset, end ?? size ?? Number.POSITIVE_INFINITY),
    close: () => reader.close(),
  };
}

class RemoteReader {
  readonly #file: RemoteFile;
  readonly #hasRanges: boolean;
  readonly #options: { readonly signal?: AbortSignal };
  /** What was read last, and where it begins. */
  #piece: Uint8Array = NOTHING;
  #start = 0;
  #stream: AsyncIterator<Uint8Array> | undefined;
  #isStreaming = false;
  #rangeLength = FIRST_RANGE;

  constructor(file: RemoteFile, hasRanges: boolean, options: { readonly signal?: AbortSignal }) {
    this.#file = file;
    this.#hasRanges = hasRanges;
    this.#options = options;
  }

  async read(offset: number, end: number): Promise<Uint8Array> {
    for (;;) {
      const next = this.#start + this.#piece.length;
      if (offset >= this.#start && offset < next) return this.#piece.subarray(offset - this.#start);
      const isAhead = this.#isStreaming && offset >= next;
      if (this.#mayStream(offset, next, isAhead)) {
        if (!(await this.#takeFromStream(next))) return NOTHING;
      } else return this.#takeRange(offset, end);
    }
  }

  #mayStream(offset: number, next: number, isAhead: boolean): boolean {
    if (isAhead && (offset - next < WORTH_A_JUMP || !this.#hasRanges)) return true;
    if (this.#stream === undefined && !this.#isStreaming && offset === 0) return true;
    if (this.#hasRanges) return false;
    const reason = 'can only be read from the beginning to the end';
    throw new PipelineError('UNSUPPORTED', { subject: this.#file.label, reason });
  }

  /** @returns false at the end */
  async #takeFromStream(next: number): Promise<boolean> {
    this.#isStreaming = true;
    this.#stream ??= this.#file.read(this.#options)[Symbol.asyncIterator]();
    const { done, value } = await this.#stream.next();
    if (done) return false;
    this.#start = next;
    this.#piece = value;
    return true;
  }

  async #takeRange(offset: number, end: number): Promise<Uint8Array> {
    await this.#endStream();
    const isNext = offset === this.#start + this.#piece.length;
    this.#rangeLength = isNext ? Math.min(2 * this.#rangeLength, LONGEST_RANGE) : FIRST_RANGE;
    const length = Math.max(1, Math.min(this.#rangeLength, end - offset));
    this.#piece = await this.#file.readRange({ offset, length }, this.#options);
    this.#start = offset;
    return this.#piece;
  }

  async close(): Promise<void> {
    await this.#endStream();
  }

  async #endStream(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#isStreaming = false;
    await stream?.return?.();
  }
}
