/**
 * Writing that leaves out runs of zero bytes. Shared by the extraction of blobs and of trees
 * (spec/formats/extraction.md, "Blob").
 */

/** Holes are made of whole blocks of this many bytes, aligned to the offset in the file. */
export const HOLE_BLOCK = 4096;

const ZEROS = Buffer.alloc(HOLE_BLOCK);

/** Begin and end of a part of a buffer. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** True if all of `bytes` are zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += HOLE_BLOCK) {
    if (!isZeroBlock(bytes, start, Math.min(start + HOLE_BLOCK, bytes.length))) return false;
  }
  return true;
}

/**
 * The parts of `bytes` that must be written if they belong at `offset` of a file that reads as zeros
 * there: everything but aligned blocks of zeros, cut off at the ends of `bytes`. Usually one span.
 */
export function dataSpans(bytes: Uint8Array, offset: number): readonly Span[] {
  const spans: Span[] = [];
  let dataStart = -1;
  let start = 0;
  while (start < bytes.length) {
    const end = Math.min(bytes.length, start + HOLE_BLOCK - ((offset + start) % HOLE_BLOCK));
    const hole = isZeroBlock(bytes, start, end);
    if (!hole && dataStart < 0) dataStart = start;
    if (hole && dataStart >= 0) {
      spans.push({ start: dataStart, end: start });
      dataStart = -1;
    }
    start = end;
  }
  if (dataStart >= 0) spans.push({ start: dataStart, end: bytes.length });
  return spans;
}

/**
 * The blocks of `bytes` at `offset` of a file that are not what the file has there, as few spans.
 * @param old what it has, shorter if it ends before.
 */
export function differingSpans(old: Buffer, bytes: Uint8Array, offset: number): readonly Span[] {
  const fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (old.equals(fresh)) return [];
  const spans: Span[] = [];
  let differenceStart = -1;
  for (let start = 0; start < fresh.length; ) {
    const end = Math.min(fresh.length, start + HOLE_BLOCK - ((offset + start) % HOLE_BLOCK));
    const isSame = end <= old.length && fresh.compare(old, start, end, start, end) === 0;
    if (!isSame && differenceStart < 0) differenceStart = start;
    if (isSame && differenceStart >= 0) {
      spans.push({ start: differenceStart, end: start });
      differenceStart = -1;
    }
    start = end;
  }
  if (differenceStart >= 0) spans.push({ start: differenceStart, end: fresh.length });
  return spans;
}

function isZeroBlock(bytes: Uint8Array, start: number, end: number): boolean {
  // Data nearly always shows at the borders of a block, without the price of a call.
  if (bytes[start] !== 0 || bytes[end - 1] !== 0) return false;
  const block = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  return block.equals(end - start === HOLE_BLOCK ? ZEROS : ZEROS.subarray(0, end - start));
}
