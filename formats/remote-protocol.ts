/**
 * The messages of the casync protocol, which is spoken over a pair of pipes, as values and as bytes.
 * Layout and rules: spec/formats/remote-protocol.md. What arrives is decoded by
 * remote-protocol-decoder.ts.
 */
import { writeU64 } from './bytes.ts';
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from './chunk-id.ts';
import type { MessageKind } from './protocol-flags.ts';
import { RECORD_HEADER_SIZE } from './record-types.ts';

/** Most bytes of a message, its header included. */
export const MAX_MESSAGE_SIZE = 16 * 1024 * 1024;
/** Most bytes of a chunk, as it is sent: a chunk is always one message. */
export const MAX_SENT_CHUNK_SIZE = MAX_MESSAGE_SIZE - RECORD_HEADER_SIZE - 8 - CHUNK_ID_LENGTH;
/** Largest error number of an abort. */
export const MAX_ABORT_ERROR = 2 ** 31 - 2;

/** Type numbers of the messages. */
export const MESSAGE_TYPES: Readonly<Record<MessageKind, bigint>> = {
  hello: 0x3c71d0948ca5fbeen,
  index: 0xb32a91dd2b3e27f8n,
  'index-eof': 0x4f0932f1043718f5n,
  archive: 0x95d6428a69eddcc5n,
  'archive-eof': 0x450bef663f24cbadn,
  request: 0x8ab427e0f89d9210n,
  chunk: 0x5213dd180a84bc8cn,
  missing: 0xd010f9fac82b7b6cn,
  goodbye: 0xad205dbf1a3686c3n,
  abort: 0xe7d9136b7efea352n,
};

/** The one flag of a request: answer before others. */
export const REQUEST_URGENT = 1;
/** The one flag of a chunk: its bytes are one compressed stream. */
export const CHUNK_COMPRESSED = 1;

export type Message =
  /** Flags of {@link PROTOCOL_FLAG}. Always the first message. */
  | { readonly kind: 'hello'; readonly flags: number }
  /** The next bytes of an index, or of an archive. */
  | { readonly kind: 'index' | 'archive'; readonly bytes: Uint8Array }
  | { readonly kind: 'index-eof' | 'archive-eof' | 'goodbye' }
  | { readonly kind: 'request'; readonly isUrgent: boolean; readonly ids: readonly ChunkId[] }
  /** A whole chunk: plain, or one compressed stream. */
  | {
      readonly kind: 'chunk';
      readonly id: ChunkId;
      readonly isPlain: boolean;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'missing'; readonly id: ChunkId }
  /** The sender gives up: an error number of Linux or 0, and why, as printable text. */
  | { readonly kind: 'abort'; readonly errorNumber: number; readonly reason: string };

/** Size and type, with room for a body of `bodySize` bytes, of which `later` follow separately. */
function started(kind: MessageKind, bodySize: number, later = 0): Uint8Array {
  const size = RECORD_HEADER_SIZE + bodySize;
  if (size > MAX_MESSAGE_SIZE) throw new RangeError(`too large for a message: ${size} bytes`);
  const bytes = new Uint8Array(size - later);
  writeU64(bytes, 0, size);
  writeU64(bytes, 8, MESSAGE_TYPES[kind]);
  return bytes;
}

/**
 * The message as bytes, in order.
 * @returns one array, or two of which the second is the `bytes` of the message, not copied
 * @throws RangeError for what no message can hold; callers know the limits above
 */
export function encodeMessage(message: Message): readonly Uint8Array[] {
  switch (message.kind) {
    case 'index':
    case 'archive':
      checkNotEmpty(message.bytes.length);
      return [started(message.kind, message.bytes.length, message.bytes.length), message.bytes];
    case 'index-eof':
    case 'archive-eof':
    case 'goodbye':
      return [started(message.kind, 0)];
    case 'chunk':
      return encodeChunk(message.id, message.isPlain, message.bytes);
    case 'hello': {
      const bytes = started('hello', 8);
      writeU64(bytes, RECORD_HEADER_SIZE, message.flags);
      return [bytes];
    }
    case 'request':
      return [encodeRequest(message.ids, message.isUrgent)];
    case 'missing': {
      const bytes = started('missing', CHUNK_ID_LENGTH);
      writeChunkId(message.id, bytes, RECORD_HEADER_SIZE);
      return [bytes];
    }
    case 'abort':
      return [encodeAbort(message.errorNumber, message.reason)];
  }
}

function checkNotEmpty(length: number): void {
  if (length === 0) throw new RangeError('a message without content');
}

function encodeChunk(id: ChunkId, isPlain: boolean, content: Uint8Array): readonly Uint8Array[] {
  checkNotEmpty(content.length);
  const bytes = started('chunk', 8 + CHUNK_ID_LENGTH + content.length, content.length);
  writeU64(bytes, RECORD_HEADER_SIZE, isPlain ? 0 : CHUNK_COMPRESSED);
  writeChunkId(id, bytes, RECORD_HEADER_SIZE + 8);
  return [bytes, content];
}

function encodeRequest(ids: readonly ChunkId[], isUrgent: boolean): Uint8Array {
  checkNotEmpty(ids.length);
  const bytes = started('request', 8 + CHUNK_ID_LENGTH * ids.length);
  writeU64(bytes, RECORD_HEADER_SIZE, isUrgent ? REQUEST_URGENT : 0);
  let offset = RECORD_HEADER_SIZE + 8;
  for (const id of ids) {
    writeChunkId(id, bytes, offset);
    offset += CHUNK_ID_LENGTH;
  }
  return bytes;
}

/** Characters that are not printable ASCII become question marks. */
function encodeAbort(errorNumber: number, reason: string): Uint8Array {
  if (errorNumber < 0 || errorNumber > MAX_ABORT_ERROR) {
    throw new RangeError(`no error number: ${errorNumber}`);
  }
  const bytes = started('abort', 8 + reason.length + 1);
  writeU64(bytes, RECORD_HEADER_SIZE, errorNumber);
  for (let i = 0; i < reason.length; i++) {
    const code = reason.charCodeAt(i);
    bytes[RECORD_HEADER_SIZE + 8 + i] = code >= 0x20 && code < 0x7f ? code : 0x3f;
  }
  return bytes;
}
