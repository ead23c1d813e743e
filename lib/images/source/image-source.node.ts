/**
 * The bytes of an image as parts of whole blocks, in order: a file or block device, holes left out, or
 * a stream that can only be read once (spec/images.md, "Reading the source").
 */
import { nextData, nextHole } from '../../os/holes.node.ts';
import type { SegmentRing } from '../../work/segment-ring.ts';

/** A part that is in the ring, or is to be read into it. */
export interface DataPart {
  readonly kind: 'data';
  /** Offset in the image, a multiple of the block size. */
  readonly start: number;
  readonly length: number;
  /** Of its slot, which belongs to whoever takes the part. */
  readonly address: number;
  readonly from?: { readonly descriptor: number; readonly offset: number; readonly label: string };
}

/** Zeros that nobody needs to read. */
export interface ZeroPart {
  readonly kind: 'zeros';
  readonly start: number;
  readonly length: number;
}

export type ImagePart = DataPart | ZeroPart;

export interface PartLayout {
  /** Bytes of a part, at most: a multiple of `blockSize`. */
  readonly length: number;
  readonly blockSize: number;
}

export interface ImageSource {
  /** For messages. */
  readonly label: string;
  /** Bytes of the image; undefined for a stream. */
  readonly size: number | undefined;
  /** All of it in order; every part but the last consists of whole blocks. To be taken once. */
  parts(ring: SegmentRing, layout: PartLayout): AsyncIterable<ImagePart>;
}

/** Shorter holes are read: finding their ends costs more. */
const SMALLEST_HOLE = 256 * 1024;
const ZEROS_AT_ONCE = 64 * 1024 * 1024;

export interface FileImage {
  readonly descriptor: number;
  readonly label: string;
  /** Bytes that belong to the image; what lies behind is not read. */
  readonly size: number;
  /** Where to begin, a multiple of the block size; default 0. */
  readonly start?: number;
}

/** A regular file or block device. */
export function imageOfFile(image: FileImage): ImageSource {
  const { label, size } = image;
  return { label, size, parts: (ring, layout) => partsOfFile(image, ring, layout) };
}

async function* partsOfFile(
  image: FileImage,
  ring: SegmentRing,
  { length, blockSize }: PartLayout,
): AsyncGenerator<ImagePart> {
  const { descriptor, label, size } = image;
  let start = image.start ?? 0;
  let data = stretchAt(image, start, blockSize);
  while (start < size) {
    if (start >= data.end) data = stretchAt(image, start, blockSize);
    if (start < data.start) {
      const zeros = Math.min(data.start - start, zerosAtOnce(blockSize));
      yield { kind: 'zeros', start, length: zeros };
      start += zeros;
      continue;
    }
    const part = Math.min(length, data.end - start);
    const from = { descriptor, offset: start, label };
    yield { kind: 'data', start, length: part, address: await ring.acquire(), from };
    start += part;
  }
}

/** Few enough that their digests take little memory. */
function zerosAtOnce(blockSize: number): number {
  return Math.ceil(ZEROS_AT_ONCE / blockSize) * blockSize;
}

/** The next bytes that are worth reading, as whole blocks; at the end nothing. */
function stretchAt({ descriptor, size }: FileImage, offset: number, blockSize: number) {
  const found = Math.min(nextData(descriptor, offset) ?? size, size);
  const start = found === size ? size : Math.floor(found / blockSize) * blockSize;
  const isWorthIt = start - offset >= SMALLEST_HOLE || start === size;
  return { start: isWorthIt ? start : offset, end: endOfData(descriptor, found, size, blockSize) };
}

/** Behind the data at `start` and all small holes in it, rounded up to whole blocks. */
function endOfData(descriptor: number, start: number, size: number, blockSize: number): number {
  let end = start;
  while (end < size) {
    const hole = Math.min(nextHole(descriptor, end) ?? size, size);
    const next = Math.min(hole === size ? size : (nextData(descriptor, hole) ?? size), size);
    if (next - hole >= SMALLEST_HOLE || next === size) {
      return Math.min(Math.ceil(hole / blockSize) * blockSize, size);
    }
    // Devices that know neither holes nor data answer both questions alike.
    if (next <= end) return size;
    end = next;
  }
  return size;
}

/** Bytes that can only be taken in order. */
export function imageOfStream(
  label: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): ImageSource {
  return {
    label,
    size: undefined,
    parts: (ring, layout) => partsOfStream(pieces, ring, layout),
  };
}

async function* partsOfStream(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ring: SegmentRing,
  { length }: PartLayout,
): AsyncGenerator<DataPart> {
  let [start, filled] = [0, 0];
  let address: number | undefined;
  for await (const piece of pieces) {
    for (let rest = piece; rest.length > 0; ) {
      address ??= await ring.acquire();
      const part = rest.subarray(0, length - filled);
      ring.write(address + filled, part);
      rest = rest.subarray(part.length);
      filled += part.length;
      if (filled < length) continue;
      yield { kind: 'data', start, length, address };
      start += length;
      filled = 0;
      address = undefined;
    }
  }
  if (address !== undefined) yield { kind: 'data', start, length: filled, address };
}
