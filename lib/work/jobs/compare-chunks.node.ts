/** Job of verify and diff: whether ranges of an open file are the chunks that an index has there. */
import { equalBytes } from '../../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../../formats/chunk-id.ts';
import { Scratch } from '../../../store/scratch.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { JobContext } from '../job-context.node.ts';

export interface CompareChunksInput {
  readonly descriptor: number;
  /** In the file, of the first chunk. */
  readonly offset: number;
  /** In bytes, of chunks one behind the other. */
  readonly lengths: readonly number[];
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  /** For messages. */
  readonly label: string;
}

const scratch = new Scratch();

/**
 * @returns numbers of the chunks that are not in the file, or not all of them
 * @throws PipelineError if the file cannot be read
 */
export function compareChunks(context: JobContext, input: CompareChunksInput): readonly number[] {
  const different: number[] = [];
  const found = new Uint8Array(CHUNK_ID_LENGTH);
  let { offset } = input;
  for (const [i, length] of input.lengths.entries()) {
    const memory = scratch.take(length);
    const bytes = memory.subarray(0, length);
    const isWhole = readWhole(bytes, offset, input);
    if (isWhole) writeChunkId(context.digest.hash(bytes), found, 0);
    scratch.release(memory);
    const start = i * CHUNK_ID_LENGTH;
    const wanted = input.digests.subarray(start, start + CHUNK_ID_LENGTH);
    if (!isWhole || !equalBytes(found, wanted)) different.push(i);
    offset += length;
  }
  return different;
}

/** @returns false if the file ends before */
function readWhole(
  bytes: Uint8Array,
  offset: number,
  { descriptor, label }: CompareChunksInput,
): boolean {
  try {
    return readFully(descriptor, bytes, offset) === bytes.length;
  } catch (error) {
    throw systemFailure('read', error, label);
  }
}
