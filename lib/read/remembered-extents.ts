/** A blob whose extents are looked up once: who asks for each read must not pay for a long look each time. */
import type { BlobExtent, BlobReader } from './blob-reader.ts';

interface Known extends BlobExtent {
  readonly start: number;
}

/** Extents that are remembered: those that were asked for last. */
const MOST_KNOWN = 32;

/** @param reader whose extents do not change */
export function rememberExtents(reader: BlobReader): BlobReader {
  const known: Known[] = [];
  return {
    label: reader.label,
    size: reader.size,
    read: (range, options) => reader.read(range, options),
    extentAt(offset) {
      const found = known.findIndex(({ start, end }) => start <= offset && offset < end);
      if (found === 0) return known[0];
      const extent =
        found < 0 ? { start: offset, ...reader.extentAt(offset) } : known.splice(found, 1)[0];
      if (found < 0) {
        // The same one, known from a later offset on.
        const later = known.findIndex(
          ({ end, isZero }) => end === extent.end && isZero === extent.isZero,
        );
        if (later >= 0) known.splice(later, 1);
        else if (known.length === MOST_KNOWN) known.pop();
      }
      known.unshift(extent);
      return extent;
    },
    close: () => reader.close(),
  };
}
