/**
 * Job of file seeds: cuts ranges of a file into chunks and digests them, to find out which chunks the
 * file holds, and where.
 */
import { readSync } from 'node:fs';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../../formats/chunk-id.ts';
import { LengthFilter } from '../../seed/length-filter.ts';
import type { JobContext } from '../job-context.node.ts';

/** Part of a file. */
export interface FileRange {
  readonly start: number;
  /** The chunk that reaches this offset is the last one. */
  readonly end: number;
}

export interface FindChunksInput {
  readonly descriptor: number;
  /** Where chunks end at the latest. */
  readonly fileSize: number;
  /** Each as if a chunk began with it. */
  readonly ranges: readonly FileRange[];
  /** Of a slot in the shared memory. */
  readonly address: number;
  /** Of the slot, in bytes; more than the longest chunk. */
  readonly slotSize: number;
  readonly longestChunk: number;
  /** Of {@link LengthFilter}: chunks of other lengths are left out. */
  readonly lengths: SharedArrayBuffer;
}

/** Chunks, column by column. */
export interface FoundChunks {
  /** In the file. */
  readonly offsets: Float64Array;
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
}

/** What cannot be read has no chunks. */
export function findChunks(context: JobContext, input: FindChunksInput): FoundChunks {
  const found: Found = { offsets: [], digests: [] };
  for (const range of input.ranges) cutRange(context, input, range, found);
  const digests = new Uint8Array(found.digests.length * CHUNK_ID_LENGTH);
  for (const [i, digest] of found.digests.entries()) digests.set(digest, i * CHUNK_ID_LENGTH);
  return { offsets: Float64Array.from(found.offsets), digests };
}

interface Found {
  readonly offsets: number[];
  readonly digests: Uint8Array[];
}

function cutRange(context: JobContext, input: FindChunksInput, range: FileRange, found: Found) {
  const { descriptor, fileSize, address, slotSize, longestChunk } = input;
  const slot = context.bytes(address, slotSize);
  const lengths = new LengthFilter(input.lengths);
  /** Offset in the file of the first byte in the slot. */
  let windowStart = range.start;
  let filled = 0;
  for (let next = 0; windowStart + next < range.end; ) {
    const isLast = windowStart + filled >= fileSize;
    if (filled - next < longestChunk && !isLast) {
      // The begin of a chunk that is not all here is read again.
      windowStart += next;
      next = 0;
      filled = readFully(descriptor, slot.subarray(0, fileSize - windowStart), windowStart);
      if (filled < longestChunk && windowStart + filled < fileSize) return;
      continue;
    }
    if (next === filled) return;
    const length = context.scanner.firstChunk(slot.subarray(next, filled));
    if (lengths.mayHave(length)) {
      const digest = new Uint8Array(CHUNK_ID_LENGTH);
      writeChunkId(context.digest.hash(slot.subarray(next, next + length)), digest, 0);
      found.offsets.push(windowStart + next);
      found.digests.push(digest);
    }
    next += length;
  }
}

/** @returns how many bytes could be read */
function readFully(descriptor: number, into: Uint8Array, offset: number): number {
  let done = 0;
  try {
    while (done < into.length) {
      const length = readSync(descriptor, into, done, into.length - done, offset + done);
      if (length === 0) break;
      done += length;
    }
  } catch {
    return done;
  }
  return done;
}
