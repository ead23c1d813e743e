/**
 * The input of a pipeline that chunks, cut into segments of a few MiB that are worked on side by side.
 * A segment comes with the begin of what follows it, as much as the longest chunk, so that each chunk
 * lies in one piece in the segment that it begins in.
 */
import type { SegmentRing } from '../work/segment-ring.ts';

/** Bytes in a slot of the ring, or to be read into it. */
export interface DataSegment {
  readonly kind: 'data';
  /** Offset in the stream. */
  readonly start: number;
  /** Bytes of the segment itself. */
  readonly length: number;
  /** The same and the begin of what follows. */
  readonly availableLength: number;
  /** Of its slot, which belongs to whoever takes the segment. */
  readonly address: number;
  /** Where to read the bytes from, if they are not there yet. */
  readonly from?: { readonly descriptor: number; readonly offset: number; readonly label: string };
}

/** Zeros that nobody needs to read; as many follow as the longest chunk has bytes. */
export interface ZeroSegment {
  readonly kind: 'zeros';
  readonly start: number;
  readonly length: number;
}

export type Segment = DataSegment | ZeroSegment;

/** Where segments come from. */
export interface SegmentSource {
  /** Length of the stream in bytes, where it is known. */
  readonly totalBytes?: number;
  /** All segments in order, each but the last of them `layout.length` bytes long or zero. */
  segments(ring: SegmentRing, layout: SegmentLayout): AsyncIterable<Segment>;
  /** Called when all bytes have been read. */
  finished?(): void;
}

export interface SegmentLayout {
  /** Bytes of a segment; at least `tailLength`. */
  readonly length: number;
  /** Bytes of the longest chunk. */
  readonly tailLength: number;
}

/** Segments of bytes that can only be taken in order. */
export function segmentsOfStream(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): SegmentSource {
  return { segments: (ring, layout) => cutStream(pieces, ring, layout) };
}

async function* cutStream(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ring: SegmentRing,
  { length, tailLength }: SegmentLayout,
): AsyncGenerator<DataSegment> {
  const wholeLength = length + tailLength;
  let start = 0;
  let address = await ring.acquire();
  let following: number | undefined;
  let filled = 0;
  for await (const piece of pieces) {
    for (let rest = piece; rest.length > 0; ) {
      const part = rest.subarray(0, wholeLength - filled);
      rest = rest.subarray(part.length);
      ring.write(address + filled, part);
      filled += part.length;
      if (filled > length) {
        // What follows this segment is the begin of the next one, too.
        following ??= await ring.acquire();
        const shared = part.subarray(Math.max(0, part.length - (filled - length)));
        ring.write(following + filled - length - shared.length, shared);
      }
      if (filled < wholeLength || following === undefined) continue;
      yield { kind: 'data', start, length, availableLength: filled, address };
      start += length;
      address = following;
      following = undefined;
      filled = tailLength;
    }
  }
  if (following !== undefined) {
    yield { kind: 'data', start, length, availableLength: filled, address };
    start += length;
    address = following;
    filled -= length;
  }
  if (filled > 0) yield { kind: 'data', start, length: filled, availableLength: filled, address };
  else ring.release(address);
}
