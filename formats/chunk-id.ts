/** Chunk ids: digests of a chunk's plain bytes (spec/formats/castr.md). */
import { hexOf } from './bytes.ts';

/** Digest of a chunk's plain bytes as 64 lower-case hex digits. Usable as map key, printable as is. */
export type ChunkId = string & { readonly __chunkId: unique symbol };

/** The digests that can name chunks. An index says which one it uses. */
export type DigestName = 'sha512-256' | 'sha256';

/** Length of a chunk id in bytes. */
export const CHUNK_ID_LENGTH = 32;

const ID_PATTERN = /^[0-9a-f]{64}$/;
const DIGITS = '0123456789abcdef';
/** Values of the hex digits by character code. */
const DIGIT_VALUES = Uint8Array.from({ length: 128 }, (_, code) =>
  Math.max(0, DIGITS.indexOf(String.fromCharCode(code))),
);

/** The id written as `text`, or undefined if that is not a chunk id. */
export function parseChunkId(text: string): ChunkId | undefined {
  return ID_PATTERN.test(text) ? (text as ChunkId) : undefined;
}

/** The id stored as 32 bytes at `offset`. */
export function chunkIdFromBytes(bytes: Uint8Array, offset = 0): ChunkId {
  return hexOf(bytes, offset, offset + CHUNK_ID_LENGTH) as ChunkId;
}

/** Writes the id as 32 bytes at `offset`. */
export function writeChunkId(id: ChunkId, bytes: Uint8Array, offset: number): void {
  for (let i = 0; i < CHUNK_ID_LENGTH; i++) {
    const high = DIGIT_VALUES[id.charCodeAt(2 * i)];
    bytes[offset + i] = (high << 4) | DIGIT_VALUES[id.charCodeAt(2 * i + 1)];
  }
}
