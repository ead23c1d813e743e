/**
 * Little-endian integers and byte strings: the shared vocabulary of all codecs.
 * 64-bit values become `number` only up to 2^53-1; flags and ids stay `bigint` or bytes.
 */

const TWO_POW_32 = 0x1_0000_0000;

/** The value that casync uses for "absent" and "unknown": 2^64-1. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Unsigned 32 bits at `offset`. The caller has checked the bounds. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] |
      (bytes[offset + 1] << 8) |
      (bytes[offset + 2] << 16) |
      (bytes[offset + 3] << 24)) >>>
    0
  );
}

/** Unsigned 64 bits at `offset`, exact. The caller has checked the bounds. */
export function readU64(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(readU32(bytes, offset + 4)) << 32n) | BigInt(readU32(bytes, offset));
}

/**
 * Unsigned 64 bits at `offset` as a number; `Infinity` where it exceeds 2^53-1, so that every
 * upper-bound check of the caller refuses it.
 */
export function readSize(bytes: Uint8Array, offset: number): number {
  const high = readU32(bytes, offset + 4);
  if (high >= 0x20_0000) return Number.POSITIVE_INFINITY;
  return high * TWO_POW_32 + readU32(bytes, offset);
}

/** Stores the low 32 bits of `value`. */
export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

/** Stores a bigint (modulo 2^64) or a non-negative safe integer as 64 bits. */
export function writeU64(bytes: Uint8Array, offset: number, value: bigint | number): void {
  if (typeof value === 'number') {
    writeU32(bytes, offset, value % TWO_POW_32);
    writeU32(bytes, offset + 4, Math.floor(value / TWO_POW_32));
    return;
  }
  writeU32(bytes, offset, Number(value & 0xffff_ffffn));
  writeU32(bytes, offset + 4, Number((value >> 32n) & 0xffff_ffffn));
}

/** Order of byte strings as unsigned bytes, a prefix first: the order of names in an archive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** True if both hold the same bytes. Compares four at a time, because whole chunks are compared. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  const left = new DataView(a.buffer, a.byteOffset, length);
  const right = new DataView(b.buffer, b.byteOffset, length);
  let offset = 0;
  for (; offset + 4 <= length; offset += 4) {
    if (left.getInt32(offset) !== right.getInt32(offset)) return false;
  }
  for (; offset < length; offset++) if (a[offset] !== b[offset]) return false;
  return true;
}

/** One array with the bytes of all parts. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

/** The bytes of a text that consists of ASCII characters only. */
export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Bytes from `start` to `end` as lower-case hex digits. */
export function hexOf(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let i = start; i < end; i++) text += HEX[bytes[i]];
  return text;
}

/** One character per byte (Latin-1): a lossless key for maps and sets, never for display. */
export function byteKey(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}
