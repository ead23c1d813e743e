/** Counts zero bytes at memory speed. Used by scanners, which know the hash of zeros in advance. */

/** Bytes that are looked at one by one before the words are worth their view. */
const PREFIX = 64;

/** @returns how many of the first `limit` bytes are zero before the first that is not */
export function leadingZeros(bytes: Uint8Array, limit: number): number {
  const prefix = countZeros(bytes, 0, Math.min(PREFIX, limit));
  if (prefix < PREFIX) return prefix;
  const from = PREFIX - ((bytes.byteOffset + PREFIX) & 3);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (limit - from) >> 2);
  return countZeros(bytes, from + 4 * zeroWords(words), limit);
}

function countZeros(bytes: Uint8Array, from: number, limit: number): number {
  let end = from;
  while (end < limit && bytes[end] === 0) end++;
  return end;
}

/** @returns how many words are zero before the first that is not, or up to seven fewer */
function zeroWords(words: Int32Array): number {
  let i = 0;
  for (; i + 8 <= words.length; i += 8) {
    const low = words[i] | words[i + 1] | words[i + 2] | words[i + 3];
    const high = words[i + 4] | words[i + 5] | words[i + 6] | words[i + 7];
    if ((low | high) !== 0) break;
  }
  return i;
}
