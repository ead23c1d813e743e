/**
 * Cutting a stream whose segments are scanned side by side. Each segment is scanned as if a chunk
 * began with it. Where its first chunk really begins is known when the segment before it is done; from
 * there the cuts are found one by one until one of them meets a cut of the scan: from then on both
 * agree, because the cuts behind a chunk's start depend on nothing before it.
 */
import type { ChunkScanner } from './scanner.ts';

/**
 * Ends of the chunks that begin in a segment.
 * @param bytes the segment and what follows: the maximum chunk size, or all up to the end of the input
 * @param start of the first chunk in `bytes`
 * @param length of the segment itself
 */
export function scanEnds(
  scanner: ChunkScanner,
  bytes: Uint8Array,
  start: number,
  length: number,
): number[] {
  const ends: number[] = [];
  for (let end = start; end < length; ) {
    end += scanner.firstChunk(bytes.subarray(end));
    ends.push(end);
  }
  return ends;
}

/**
 * The same as {@link scanEnds}, with the help of its result for `start` 0.
 * @param scanned what scanEnds returned for the same bytes and length with `start` 0
 */
export function stitchEnds(
  scanner: ChunkScanner,
  bytes: Uint8Array,
  start: number,
  length: number,
  scanned: Uint32Array,
): readonly number[] {
  const ends: number[] = [];
  let next = 0;
  for (let end = start; end < length; ) {
    while (next < scanned.length && scanned[next] < end) next += 1;
    const agrees = end === 0 || scanned[next] === end;
    if (agrees) return [...ends, ...scanned.subarray(end === 0 ? 0 : next + 1)];
    end += scanner.firstChunk(bytes.subarray(end));
    ends.push(end);
  }
  return ends;
}
