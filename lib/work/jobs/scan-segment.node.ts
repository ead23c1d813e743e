/**
 * Job of `make`: brings a segment of the input into the shared memory, where it is not there yet, and
 * finds the chunk ends that follow if a chunk began with the segment (see chunking/stitch.ts).
 */
import { about } from '../../../formats/errors.ts';
import { scanEnds } from '../../chunking/stitch.ts';
import { readSource } from '../../make/read-source.node.ts';
import type { JobContext } from '../job-context.node.ts';

export interface ScanSegmentInput {
  /** Of the segment in the shared memory. */
  readonly address: number;
  /** Bytes of the segment itself. */
  readonly length: number;
  /** Bytes that are there, with the begin of what follows. */
  readonly availableLength: number;
  /** Read them from here first. */
  readonly from?: SegmentOrigin;
}

/** A range of an open file. */
export interface SegmentOrigin {
  readonly descriptor: number;
  readonly offset: number;
  readonly label: string;
}

/** @returns ends of the chunks that begin in the segment, relative to it */
export function scanSegment(context: JobContext, input: ScanSegmentInput): Uint32Array {
  const bytes = context.bytes(input.address, input.availableLength);
  if (input.from !== undefined) readSegment(bytes, input.from);
  return Uint32Array.from(scanEnds(context.scanner, bytes, 0, input.length));
}

function readSegment(bytes: Uint8Array, { descriptor, offset, label }: SegmentOrigin): void {
  try {
    readSource(descriptor, bytes, offset);
  } catch (error) {
    throw about(label, error);
  }
}
