/**
 * What arrives from the other side of the casync protocol, as messages: fed with portions of any size,
 * refuses everything that the rules do not allow at that place, before it is kept in memory.
 * Rules: spec/formats/remote-protocol.md.
 */
import { readSize, readU64 } from './bytes.ts';
import { CHUNK_ID_LENGTH, type ChunkId, chunkIdFromBytes } from './chunk-id.ts';
import { FormatError } from './errors.ts';
import { type Agreement, agree, checkHelloFlags, type MessageKind } from './protocol-flags.ts';
import { PushCursor } from './push-cursor.ts';
import { RECORD_HEADER_SIZE } from './record-types.ts';
import {
  CHUNK_COMPRESSED,
  MAX_ABORT_ERROR,
  MAX_MESSAGE_SIZE,
  MESSAGE_TYPES,
  type Message,
  REQUEST_URGENT,
} from './remote-protocol.ts';

const KINDS: ReadonlyMap<bigint, MessageKind> = new Map(
  Object.entries(MESSAGE_TYPES).map(([kind, type]) => [type, kind as MessageKind]),
);

/** Bytes of a body: exactly so many, or at least so many. */
const BODY_SIZES: Readonly<Record<MessageKind, { readonly min: number; readonly max?: number }>> = {
  hello: { min: 8, max: 8 },
  index: { min: 1 },
  'index-eof': { min: 0, max: 0 },
  archive: { min: 1 },
  'archive-eof': { min: 0, max: 0 },
  request: { min: 8 + CHUNK_ID_LENGTH },
  chunk: { min: 8 + CHUNK_ID_LENGTH + 1 },
  missing: { min: CHUNK_ID_LENGTH, max: CHUNK_ID_LENGTH },
  goodbye: { min: 0, max: 0 },
  abort: { min: 8 + 1 },
};

/** Bytes of an abort's reason that are kept. */
const MAX_REASON_LENGTH = 1000;

export class MessageDecoder {
  readonly #ours: number;
  readonly #cursor = new PushCursor();
  #agreement: Agreement | undefined;
  /** What can no longer come: an index after its end, anything after the goodbye. */
  readonly #finished = new Set<MessageKind>();
  /** The message whose header has been read. */
  #kind: MessageKind | undefined;
  #bodySize = 0;

  /** @param ours flags of the hello that this side sends */
  constructor(ours: number) {
    this.#ours = ours;
  }

  /** What both hellos have settled; undefined until the other one has arrived. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** The next portion. {@link next} must have used up the one before. */
  feed(portion: Uint8Array): void {
    this.#cursor.feed(portion);
  }

  /**
   * The next message, undefined if the portion is used up. Its bytes are a view that is valid until
   * the next call.
   * @throws FormatError, and then there is no way to go on
   */
  next(): Message | undefined {
    const cursor = this.#cursor;
    if (this.#kind === undefined) {
      if (!cursor.has(RECORD_HEADER_SIZE)) return undefined;
      this.#header(cursor.bytes, cursor.start);
      cursor.advance(RECORD_HEADER_SIZE);
    }
    const kind = this.#kind;
    if (kind === undefined || !cursor.has(this.#bodySize)) return undefined;
    const { bytes, start } = cursor;
    const message = this.#body(kind, bytes.subarray(start, start + this.#bodySize));
    cursor.advance(this.#bodySize);
    this.#kind = undefined;
    this.#bodySize = 0;
    return message;
  }

  /** The other side has ended. @throws FormatError if it did so inside a message */
  finish(): void {
    const inside = this.#kind !== undefined || this.#cursor.nextOffset > this.#cursor.offset;
    if (inside) throw this.#refused('the connection ends inside a message');
  }

  #refused(expectation: string): FormatError {
    const record = this.#kind?.toUpperCase().replace('-', '_') ?? 'message';
    return new FormatError('casync protocol', record, this.#cursor.offset, expectation);
  }

  #header(bytes: Uint8Array, offset: number): void {
    const size = readSize(bytes, offset);
    if (size < RECORD_HEADER_SIZE || size > MAX_MESSAGE_SIZE) {
      throw this.#refused(`the size must be ${RECORD_HEADER_SIZE} to ${MAX_MESSAGE_SIZE}`);
    }
    const kind = KINDS.get(readU64(bytes, offset + 8));
    if (kind === undefined) throw this.#refused('unknown type; this is no casync protocol');
    this.#kind = kind;
    this.#bodySize = size - RECORD_HEADER_SIZE;
    this.#checkPlace(kind);
    const { min, max = Number.POSITIVE_INFINITY } = BODY_SIZES[kind];
    if (this.#bodySize < min || this.#bodySize > max) throw this.#refused('wrong size');
    if (kind === 'request' && (this.#bodySize - 8) % CHUNK_ID_LENGTH !== 0) {
      throw this.#refused('wrong size');
    }
  }

  /** Whether a message of this kind can come now. */
  #checkPlace(kind: MessageKind): void {
    if (this.#agreement === undefined) {
      if (kind === 'hello') return;
      throw this.#refused('the first message must be a hello');
    }
    if (kind === 'hello') throw this.#refused('a second hello');
    if (!this.#agreement.theyMaySend.has(kind)) {
      throw this.#refused('does not belong to what was agreed');
    }
    if (this.#finished.has(kind)) throw this.#refused('comes after the end');
  }

  #body(kind: MessageKind, body: Uint8Array): Message {
    switch (kind) {
      case 'hello': {
        const flags = checkHelloFlags(readU64(body, 0));
        this.#agreement = agree(this.#ours, flags);
        return { kind, flags };
      }
      case 'index':
      case 'archive':
        return { kind, bytes: body };
      case 'index-eof':
        this.#finished.add('index').add('index-eof');
        return { kind };
      case 'archive-eof':
        this.#finished.add('archive').add('archive-eof');
        return { kind };
      case 'goodbye':
        for (const other of KINDS.values()) this.#finished.add(other);
        return { kind };
      case 'request':
        return { kind, isUrgent: this.#flag(body, REQUEST_URGENT), ids: idsAt(body, 8) };
      case 'chunk': {
        const isPlain = !this.#flag(body, CHUNK_COMPRESSED);
        const content = body.subarray(8 + CHUNK_ID_LENGTH);
        return { kind, id: chunkIdFromBytes(body, 8), isPlain, bytes: content };
      }
      case 'missing':
        return { kind, id: chunkIdFromBytes(body) };
      case 'abort':
        return this.#abort(body);
    }
  }

  /** The flags of a message that has only one. */
  #flag(body: Uint8Array, only: number): boolean {
    const flags = readSize(body, 0);
    if (flags !== 0 && flags !== only) throw this.#refused('unknown flags');
    return flags === only;
  }

  #abort(body: Uint8Array): Message {
    const errorNumber = readSize(body, 0);
    if (errorNumber > MAX_ABORT_ERROR) throw this.#refused('wrong error number');
    const text = body.subarray(8, -1);
    if (body[body.length - 1] !== 0 || text.some((byte) => byte < 0x20)) {
      throw this.#refused('the reason must be one line of text that ends with a zero byte');
    }
    for (const other of KINDS.values()) this.#finished.add(other);
    return { kind: 'abort', errorNumber, reason: printable(text.subarray(0, MAX_REASON_LENGTH)) };
  }
}

function idsAt(body: Uint8Array, offset: number): readonly ChunkId[] {
  const count = (body.length - offset) / CHUNK_ID_LENGTH;
  return Array.from({ length: count }, (_, i) =>
    chunkIdFromBytes(body, offset + CHUNK_ID_LENGTH * i),
  );
}

/** ASCII as it is; other bytes as `\ooo`. */
function printable(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f;
    text += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return text;
}
