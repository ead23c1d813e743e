/**
 * Which parts of a range are known to be zeros, as NBD clients are told: in whole sectors, neighbours
 * of one kind as one stretch.
 */
import type { NbdStretch } from '../../../formats/nbd-replies.ts';
import type { BlobExtent, BlobRange, BlobReader } from '../../read/blob-reader.ts';

export interface StretchOptions {
  /** Stretches of zeros that are shorter count as data; more than 0. */
  readonly shortestZero: number;
  /** What is behind so many stretches is left out. */
  readonly maxCount: number;
}

const SECTOR = 512;
/** Extents that are looked at for one answer. */
const MAX_STEPS = 65_536;

/**
 * The stretches of a range from its begin, one behind the other; at least one, if the range is not empty.
 * @param range within the blob
 */
export function stretchesOf(
  reader: Pick<BlobReader, 'extentAt'>,
  { offset, length }: BlobRange,
  { shortestZero, maxCount }: StretchOptions,
): readonly NbdStretch[] {
  const end = offset + length;
  const stretches: { length: number; isZero: boolean }[] = [];
  const push = (size: number, isZero: boolean): void => {
    const last = stretches.at(-1);
    if (last?.isZero === isZero) last.length += size;
    else if (size > 0) stretches.push({ length: size, isZero });
  };
  // One more, because the last one may grow until the next begins.
  for (let at = offset, steps = 0; at < end && stretches.length <= maxCount; ) {
    let { end: stop, isZero } = extentFrom(reader, at);
    for (steps += 1; stop < end && steps < MAX_STEPS; steps++) {
      const next = extentFrom(reader, stop);
      if (next.isZero !== isZero) break;
      stop = next.end;
    }
    stop = Math.min(stop, end);
    // Borders inside of the range lie between sectors.
    const first = at === offset ? at : Math.ceil(at / SECTOR) * SECTOR;
    const last = stop === end ? stop : Math.floor(stop / SECTOR) * SECTOR;
    const hasHole = isZero && last - first >= shortestZero;
    push(hasHole ? first - at : stop - at, false);
    if (hasHole) {
      push(last - first, true);
      push(stop - last, false);
    }
    at = stop;
    if (steps >= MAX_STEPS) break;
  }
  return stretches.slice(0, maxCount);
}

/** Whoever reads a file that became shorter meanwhile finds out when reading. */
function extentFrom(reader: Pick<BlobReader, 'extentAt'>, offset: number): BlobExtent {
  const extent = reader.extentAt(offset);
  return extent.end > offset ? extent : { end: Number.POSITIVE_INFINITY, isZero: false };
}
