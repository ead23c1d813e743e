/** How often the hash of the chunker cuts (spec/formats/chunker.md, "Discriminator"). */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';

/**
 * The hash cuts at about one in this many positions. The order of the operations on
 * doubles is part of the format.
 */
export function discriminator({ min, avg, max }: ChunkSizes): number {
  const quotient = avg / (-1.42888852e-7 * avg + 1.33237515);
  const wanted = quotient < 0 ? Number.POSITIVE_INFINITY : Math.trunc(quotient);
  return Math.min(Math.max(wanted, min), max);
}
