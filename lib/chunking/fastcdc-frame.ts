/**
 * What all kinds of FastCDC have in common, whatever their hash: the beginning of a chunk that is
 * never looked at, and two questions, a strict one before the normal size and a mild one behind it
 * (spec/formats/chunker-fastcdc.md, "Cut rule"). Used by the scanner, and by tests with the hash of
 * another program.
 */

/** Sizes of chunks in bytes, and what is asked of the hashes: a limit or a mask. */
export interface NormalisedFrame {
  readonly min: number;
  readonly normal: number;
  readonly max: number;
  readonly early: number;
  readonly late: number;
}

/**
 * Hashes from the minimum size on, and asks at the bytes `from .. to`, of which there may be none.
 * @returns length of the chunk that a hash with the right answer ends, or -1
 */
export type CutFinder = (bytes: Uint8Array, from: number, to: number, question: number) => number;

/**
 * @param bytes of the chunk and behind it: the maximum size, or all up to the end of the input
 * @param known bytes of which the caller knows that they do not end the chunk
 * @returns length of the chunk
 */
export function normalisedCut(
  bytes: Uint8Array,
  frame: NormalisedFrame,
  find: CutFinder,
  known = 0,
): number {
  const end = Math.min(bytes.length, frame.max);
  const from = Math.max(frame.min, known);
  const middle = Math.max(from, Math.min(frame.normal, end));
  const early = find(bytes, from, middle, frame.early);
  if (early >= 0) return early;
  const late = find(bytes, middle, end, frame.late);
  return late < 0 ? end : late;
}
