/**
 * Job of everything that reads chunks: fetches some that follow one another, verified, into the shared
 * memory.
 */
import { CHUNK_ID_LENGTH, type ChunkId, chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import { CasError, isCasError } from '../../../formats/errors.ts';
import { ChunkDamaged } from '../../../store/errors.ts';
import { copyBytes } from '../../os/memory.node.ts';
import type { JobContext } from '../job-context.node.ts';

export interface FetchChunksInput {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  /** Length of each chunk in bytes. */
  readonly lengths: readonly number[];
  /** Where they shall be in the shared memory, one behind the other. */
  readonly address: number;
}

/** @throws ChunkMissing | ChunkDamaged | StorageError with the id of the chunk; PipelineError */
export async function fetchChunks(context: JobContext, input: FetchChunksInput): Promise<void> {
  const { digests, lengths, address } = input;
  let start = address;
  for (const [i, length] of lengths.entries()) {
    const id = chunkIdFromBytes(digests, i * CHUNK_ID_LENGTH);
    await fetchChunk(context, id, context.bytes(start, length));
    start += length;
  }
}

async function fetchChunk(context: JobContext, id: ChunkId, into: Uint8Array): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = await context.source.get(id, { expectedSize: into.length, into });
  } catch (error) {
    throw withChunkId(error, id);
  }
  if (bytes.length !== into.length) {
    const reason = `${bytes.length} bytes, but the index says ${into.length}`;
    throw new ChunkDamaged({ subject: id, step: 'check chunk', reason });
  }
  if (bytes.buffer !== into.buffer) copyBytes(into, bytes);
}

/** The same failure, with the chunk id in its message. */
function withChunkId(error: unknown, id: ChunkId): unknown {
  if (!isCasError(error) || error.message.includes(id)) return error;
  const parts = { subject: id, step: 'get chunk', reason: error.message, retry: error.retry };
  return new CasError(error.code, { ...parts, cause: error });
}
