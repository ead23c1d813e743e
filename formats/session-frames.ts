/**
 * The frames of a session: how messages between two casyncs are cut out of a stream of bytes, and
 * checked. Used by both sides for images and trees. Implements spec/formats/session.md, "Frames".
 */
import { readU32, writeU32 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** What each side sends first, before its first frame; no text survives as it. */
export const SESSION_PREAMBLE = Uint8Array.from('casync session\r\n', (c) => c.charCodeAt(0));
export const FRAME_HEADER_LENGTH = 16;
/** Bytes of the content of a frame, at most, as it is and compressed. */
export const MAX_FRAME_CONTENT = 16 * 1024 * 1024 + 64 * 1024;
/** The content is one frame of zstd. */
const FLAG_COMPRESSED = 1;

/** Kinds that belong to the connection itself; all others are for whoever uses it. */
export const FRAME_KIND = {
  hello: 1,
  credit: 2,
  failure: 3,
  warning: 4,
  alive: 5,
  bye: 6,
} as const;

/** A running checksum as in zlib. */
export type Checksum = (bytes: Uint8Array, before: number) => number;

export interface Frame {
  /** 1 to 255. */
  readonly kind: number;
  /** As it stands on the wire. */
  readonly content: Uint8Array;
  /** Bytes of the content once it is decompressed; undefined if it is not compressed. */
  readonly plainLength?: number;
}

/** The bytes before the content of a frame. */
export function encodeFrameHeader(
  { kind, content, plainLength }: Frame,
  checksum: Checksum,
): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_LENGTH);
  writeU32(header, 0, content.length);
  header[4] = kind;
  header[5] = plainLength === undefined ? 0 : FLAG_COMPRESSED;
  writeU32(header, 8, plainLength ?? content.length);
  writeU32(header, 12, checksum(content, checksum(header.subarray(0, 12), 0)));
  return header;
}

/** Cuts a stream that arrives in portions into frames. */
export class FrameDecoder {
  readonly #checksum: Checksum;
  readonly #allocate: (length: number) => Uint8Array;
  readonly #head = new Uint8Array(FRAME_HEADER_LENGTH);
  #headLength = 0;
  #content: Uint8Array | undefined;
  #contentLength = 0;
  #preamble = 0;
  #input: Uint8Array = this.#head.subarray(0, 0);
  #offset = 0;

  /** @param allocate gives memory for contents; the caller knows when it is free again */
  constructor(
    checksum: Checksum,
    allocate: (length: number) => Uint8Array = (length) => new Uint8Array(length),
  ) {
    this.#checksum = checksum;
    this.#allocate = allocate;
  }

  /** The next portion; the one before must be used up. Nothing of it is kept. */
  feed(bytes: Uint8Array): void {
    this.#input = bytes;
  }

  /** Whether the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#headLength === 0 && this.#preamble === SESSION_PREAMBLE.length;
  }

  /** Whether the other side has said what it is. */
  get hasBegun(): boolean {
    return this.#preamble === SESSION_PREAMBLE.length;
  }

  /**
   * @returns the next frame, whose content belongs to the caller; undefined if the portion is used up
   * @throws FormatError for what is no frame
   */
  next(): Frame | undefined {
    if (!this.#takePreamble() || !this.#takeHead()) return undefined;
    this.#content ??= this.#checkedHead();
    const content = this.#content;
    this.#contentLength += this.#take(content, this.#contentLength);
    if (this.#contentLength < content.length) return undefined;
    return this.#frame(content);
  }

  #takePreamble(): boolean {
    while (this.#preamble < SESSION_PREAMBLE.length && this.#input.length > 0) {
      if (this.#input[0] !== SESSION_PREAMBLE[this.#preamble]) {
        throw this.#damaged('PREAMBLE', 'the other side does not speak the session protocol');
      }
      this.#preamble += 1;
      this.#offset += 1;
      this.#input = this.#input.subarray(1);
    }
    return this.#preamble === SESSION_PREAMBLE.length;
  }

  #takeHead(): boolean {
    this.#headLength += this.#take(this.#head, this.#headLength);
    return this.#headLength === FRAME_HEADER_LENGTH;
  }

  #take(into: Uint8Array, filled: number): number {
    const part = this.#input.subarray(0, into.length - filled);
    into.set(part, filled);
    this.#input = this.#input.subarray(part.length);
    this.#offset += part.length;
    return part.length;
  }

  /** Memory for the content, once the header is known to be sound. */
  #checkedHead(): Uint8Array {
    const head = this.#head;
    const [length, plainLength] = [readU32(head, 0), readU32(head, 8)];
    const isCompressed = head[5] === FLAG_COMPRESSED;
    if (head[4] === 0) throw this.#damaged('HEADER', 'a kind is 1 to 255');
    if (head[5] > FLAG_COMPRESSED || head[6] !== 0 || head[7] !== 0) {
      throw this.#damaged('HEADER', 'unknown flags');
    }
    if (Math.max(length, plainLength) > MAX_FRAME_CONTENT) {
      throw this.#damaged('HEADER', `at most ${MAX_FRAME_CONTENT} bytes`);
    }
    if (!isCompressed && plainLength !== length) throw this.#damaged('HEADER', 'lengths differ');
    return this.#allocate(length);
  }

  #frame(content: Uint8Array): Frame {
    const head = this.#head;
    const expected = this.#checksum(content, this.#checksum(head.subarray(0, 12), 0));
    if (readU32(head, 12) !== expected >>> 0) throw this.#damaged('FRAME', 'the checksum is wrong');
    this.#headLength = 0;
    this.#contentLength = 0;
    this.#content = undefined;
    const kind = head[4];
    return head[5] === 0 ? { kind, content } : { kind, content, plainLength: readU32(head, 8) };
  }

  #damaged(record: string, expectation: string): FormatError {
    return new FormatError('session', record, this.#offset, expectation);
  }
}
