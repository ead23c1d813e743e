/** Big-endian integers: the byte order of the NBD protocol (spec/nbd.md, "Protocol"). */

const TWO_POW_32 = 0x1_0000_0000;

/** Unsigned 16 bits at `offset`. The caller has checked the bounds. */
export function readU16Be(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

/** Unsigned 32 bits at `offset`. The caller has checked the bounds. */
export function readU32Be(bytes: Uint8Array, offset: number): number {
  return readU16Be(bytes, offset) * 0x1_0000 + readU16Be(bytes, offset + 2);
}

/**
 * Unsigned 64 bits at `offset`; `Infinity` where they exceed 2^53-1, so that every upper-bound check
 * of the caller refuses them.
 */
export function readSizeBe(bytes: Uint8Array, offset: number): number {
  const high = readU32Be(bytes, offset);
  if (high >= 0x20_0000) return Number.POSITIVE_INFINITY;
  return high * TWO_POW_32 + readU32Be(bytes, offset + 4);
}

/** Stores the low 16 bits of `value`. */
export function writeU16Be(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

/** Stores the low 32 bits of `value`. */
export function writeU32Be(bytes: Uint8Array, offset: number, value: number): void {
  writeU16Be(bytes, offset, value >>> 16);
  writeU16Be(bytes, offset + 2, value);
}

/** Stores a non-negative safe integer as 64 bits. */
export function writeSizeBe(bytes: Uint8Array, offset: number, value: number): void {
  writeU32Be(bytes, offset, Math.floor(value / TWO_POW_32));
  writeU32Be(bytes, offset + 4, value % TWO_POW_32);
}
