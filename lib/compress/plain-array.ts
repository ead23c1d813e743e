/** The arrays that codecs return, new ones and views of memory that a caller gave. */

/**
 * The same bytes as a plain Uint8Array: what Node returns is a Buffer, whose `slice` does not copy,
 * and codecs promise arrays on which everything means what it says.
 */
export function plainArray({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/** The memory a caller gave for a result, if it has room for `ceiling` bytes. */
export function roomFor(ceiling: number, output: Uint8Array | undefined): Uint8Array | undefined {
  return output !== undefined && output.length >= ceiling ? output : undefined;
}

/**
 * What a decoder returned, at the beginning of `output` if that has room for `ceiling` bytes, else
 * as a plain array: for decoders that cannot be told where to write.
 */
export function plainResult(
  decoded: Uint8Array,
  ceiling: number,
  output: Uint8Array | undefined,
): Uint8Array {
  const room = roomFor(ceiling, output);
  if (room === undefined) return plainArray(decoded);
  room.set(decoded);
  return room.subarray(0, decoded.length);
}
