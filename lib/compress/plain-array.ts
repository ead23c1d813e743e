/**
 * The same bytes as a plain Uint8Array: what Node returns is a Buffer, whose `slice` does not copy,
 * and codecs promise arrays on which everything means what it says.
 */
export function plainArray({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
