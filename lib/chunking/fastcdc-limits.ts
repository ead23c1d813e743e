/** How often the hash of FastCDC cuts (spec/formats/chunker-fastcdc.md, "Limits"). */

/** Hashes up to these numbers end a chunk; both are less than 2^32. */
export interface CutLimits {
  /** For chunks that would be shorter than the average. */
  readonly early: number;
  /** For all others. */
  readonly late: number;
}

/**
 * One hash in four times the average cuts early and one in a quarter of it late, which is what masks
 * of two bits more and two bits less than the average has express for powers of two.
 * @param average bytes of the usual chunk, 1 .. 2^27
 */
export function cutLimits(average: number): CutLimits {
  return { early: oneIn(4 * average), late: oneIn(average / 4) };
}

/** The greatest of the hashes that are one in `count` of all 2^32; all of them for less than one. */
function oneIn(count: number): number {
  return Math.min(Math.floor(2 ** 32 / count), 2 ** 32) - 1;
}
