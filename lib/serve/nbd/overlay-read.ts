/**
 * Ranges of which parts come from the overlay, parts from its base, and parts are zeros. What comes from
 * the same place and lies close together is read at once.
 */
import type { SignalOption } from '../../../store/backend.ts';
import type { BlobBytes, BlobRange } from '../../read/blob-reader.ts';

export type PartOrigin = 'base' | 'overlay' | 'zeros';

/** A stretch of a range whose bytes come from the same place. */
export interface RangePart extends BlobRange {
  readonly origin: PartOrigin;
}

/** Where bytes are read. */
export type ReadRange = (
  range: BlobRange,
  options?: SignalOption,
) => BlobBytes | Promise<BlobBytes>;

export interface ReadOrigins {
  readonly base: ReadRange;
  readonly overlay: ReadRange;
}

/** Bytes that nobody wants but that are cheaper to read than to leave out. */
const LONGEST_GAP = 128 * 1024;
const ZERO_BYTES = new Uint8Array(128 * 1024);
const nothing = (): void => {};

/** Parts of one origin that are read together. */
interface Cluster {
  readonly range: BlobRange;
  readonly origin: 'base' | 'overlay';
}

interface Placed {
  readonly part: RangePart;
  /** Undefined for zeros. */
  readonly cluster: number | undefined;
}

/**
 * The bytes of all parts, in order.
 * @throws CasError if any of them cannot be had
 */
export function readParts(
  parts: readonly RangePart[],
  origins: ReadOrigins,
  options?: SignalOption,
): BlobBytes | Promise<BlobBytes> {
  const { clusters, placed } = clustered(parts);
  const first = clusters[0];
  if (first === undefined) return assemble(placed, [], []);
  if (clusters.length > 1) return readClusters(clusters, placed, origins, options);
  const read = origins[first.origin](first.range, options);
  // The usual case, which need not wait where the origin does not.
  const whole = (bytes: BlobBytes): BlobBytes =>
    parts.length === 1 ? bytes : assemble(placed, clusters, [bytes]);
  return read instanceof Promise ? read.then(whole) : whole(read);
}

async function readClusters(
  clusters: readonly Cluster[],
  placed: readonly Placed[],
  origins: ReadOrigins,
  options: SignalOption | undefined,
): Promise<BlobBytes> {
  const results = await Promise.allSettled(
    clusters.map(async ({ origin, range }) => origins[origin](range, options)),
  );
  const read = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return assemble(placed, clusters, read);
  for (const bytes of read) bytes.release();
  throw failed.reason;
}

function clustered(parts: readonly RangePart[]): {
  readonly clusters: readonly Cluster[];
  readonly placed: readonly Placed[];
} {
  const clusters: Cluster[] = [];
  const latest: { base?: number; overlay?: number } = {};
  const placed = parts.map((part): Placed => {
    const { origin, offset, length } = part;
    if (origin === 'zeros') return { part, cluster: undefined };
    const number = latest[origin];
    const range = number === undefined ? undefined : clusters[number].range;
    const end = offset + length;
    if (
      number !== undefined &&
      range !== undefined &&
      offset - range.offset - range.length <= LONGEST_GAP
    ) {
      clusters[number] = { origin, range: { offset: range.offset, length: end - range.offset } };
      return { part, cluster: number };
    }
    latest[origin] = clusters.length;
    clusters.push({ origin, range: { offset, length } });
    return { part, cluster: clusters.length - 1 };
  });
  return { clusters, placed };
}

function assemble(
  placed: readonly Placed[],
  clusters: readonly Cluster[],
  read: readonly BlobBytes[],
): BlobBytes {
  const pieces = placed.flatMap(({ part, cluster }) =>
    cluster === undefined
      ? zeroPieces(part.length)
      : piecesWithin(read[cluster], part.offset - clusters[cluster].range.offset, part.length),
  );
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const release =
    read.length === 0
      ? nothing
      : () => {
          for (const bytes of read) bytes.release();
        };
  return { pieces, length, release };
}

function zeroPieces(length: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let left = length; left > 0; left -= ZERO_BYTES.length) {
    pieces.push(ZERO_BYTES.subarray(0, Math.min(left, ZERO_BYTES.length)));
  }
  return pieces;
}

/** Parts of `bytes`, which is gone through once for each part. */
function piecesWithin(bytes: BlobBytes, offset: number, length: number): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  const end = offset + length;
  let start = 0;
  for (const piece of bytes.pieces) {
    const from = Math.max(offset, start) - start;
    const to = Math.min(end, start + piece.length) - start;
    if (from < to) found.push(piece.subarray(from, to));
    start += piece.length;
    if (start >= end) break;
  }
  return found;
}
