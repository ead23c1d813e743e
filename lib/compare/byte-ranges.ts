/** Ranges of bytes in which two blobs differ. Pure. */

/** `end` is the offset behind the last byte. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Equal bytes between different ones that are too few to be worth two ranges. */
const GAP = 64;

/** Puts ranges together that follow one another with less than {@link GAP} bytes between them. */
export class RangeJoiner {
  #pending: ByteRange | undefined;

  /** Takes the next range, which begins behind the ones before. @returns what is complete now */
  push(range: ByteRange): ByteRange | undefined {
    const before = this.#pending;
    if (before !== undefined && range.start - before.end < GAP) {
      this.#pending = { start: before.start, end: range.end };
      return undefined;
    }
    this.#pending = range;
    return before;
  }

  /** The last range, if there is any. */
  finish(): ByteRange | undefined {
    const last = this.#pending;
    this.#pending = undefined;
    return last;
  }
}

/** Ranges in which two pieces of the same length differ, joined. @param offset of their first byte */
export function* differentBytes(
  a: Uint8Array,
  b: Uint8Array,
  offset: number,
): Generator<ByteRange> {
  const { length } = a;
  for (let start = 0; start < length; start++) {
    if (a[start] === b[start]) continue;
    let end = start + 1;
    for (let i = end; i < length && i - end < GAP; i++) if (a[i] !== b[i]) end = i + 1;
    yield { start: offset + start, end: offset + end };
    start = end;
  }
}
