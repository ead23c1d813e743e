/** Memory that a caller offers for a result, used if the result fits. One rule for all storage. */

/** Room for `size` bytes: the begin of `into`, if that has it, else new memory. */
export function roomFor(size: number, into: Uint8Array | undefined): Uint8Array {
  return into !== undefined && into.length >= size ? into.subarray(0, size) : new Uint8Array(size);
}

/** A copy that belongs to the caller: in `into`, if that has room, else in a new array. */
export function copied(bytes: Uint8Array, into: Uint8Array | undefined): Uint8Array {
  if (into === undefined || into.length < bytes.length) return bytes.slice();
  into.set(bytes);
  return into.subarray(0, bytes.length);
}
