/**
 * Job of everything that reads chunks: fetches some of them, verified, into the shared memory, from
 * seeds where they have them, else from the stores.
 */
import { CHUNK_ID_LENGTH, type ChunkId, chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import { CasError, isCasError } from '../../../formats/errors.ts';
import { ChunkDamaged } from '../../../store/errors.ts';
import { copyBytes } from '../../os/memory.node.ts';
import { readParts } from '../../seed/read-parts.node.ts';
import type { SeedPart } from '../../seed/seed.ts';
import type { JobContext } from '../job-context.node.ts';

export interface FetchChunksInput {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  /** Length of each chunk in bytes. */
  readonly lengths: readonly number[];
  /** Where they shall be in the shared memory, one behind the other. */
  readonly address: number;
  /** For each chunk, where a seed may have it. */
  readonly parts?: readonly (readonly SeedPart[] | undefined)[];
  /** Leave out what the seeds do not have. */
  readonly fromSeedsOnly?: boolean;
  /** Leave out what no source has in good condition: another place will be asked. */
  readonly leaveMissing?: boolean;
}

/** What became of a chunk, as a byte for each of them. */
export const FETCHED = { notThere: 0, fromSeed: 1, fromStore: 2, fromRemote: 3 } as const;

/** After these another place may still have the chunk. */
const PASSED_ON: ReadonlySet<string> = new Set(['CHUNK_MISSING', 'CHUNK_DAMAGED']);

/**
 * @returns one of {@link FETCHED} for each chunk
 * @throws ChunkMissing | ChunkDamaged | StorageError with the id of the chunk; PipelineError
 */
export async function fetchChunks(
  context: JobContext,
  input: FetchChunksInput,
): Promise<Uint8Array> {
  const { digests, lengths, address, parts, fromSeedsOnly, leaveMissing } = input;
  const outcome = new Uint8Array(lengths.length);
  let start = address;
  for (const [i, length] of lengths.entries()) {
    const id = chunkIdFromBytes(digests, i * CHUNK_ID_LENGTH);
    const into = context.bytes(start, length);
    const seedParts = parts?.[i];
    if (seedParts && readParts(seedParts, into) && context.digest.hash(into) === id) {
      outcome[i] = FETCHED.fromSeed;
    } else if (!fromSeedsOnly) {
      const isThere = await fetchChunk(context, id, into, leaveMissing);
      if (isThere) outcome[i] = FETCHED.fromStore;
    }
    start += length;
  }
  return outcome;
}

/** @returns false if it is missing or damaged, and that may be */
async function fetchChunk(
  context: JobContext,
  id: ChunkId,
  into: Uint8Array,
  leaveMissing = false,
): Promise<boolean> {
  let bytes: Uint8Array;
  try {
    bytes = await context.source.get(id, { expectedSize: into.length, into });
  } catch (error) {
    if (leaveMissing && isCasError(error) && PASSED_ON.has(error.code)) return false;
    throw withChunkId(error, id);
  }
  if (bytes.length !== into.length) {
    const reason = `${bytes.length} bytes, but the index says ${into.length}`;
    throw new ChunkDamaged({ subject: id, step: 'check chunk', reason });
  }
  if (bytes.buffer !== into.buffer) copyBytes(into, bytes);
  return true;
}

/** The same failure, with the chunk id in its message. */
export function withChunkId(error: unknown, id: ChunkId): unknown {
  if (!isCasError(error) || error.message.includes(id)) return error;
  const parts = { subject: id, step: 'get chunk', reason: error.message, retry: error.retry };
  return new CasError(error.code, { ...parts, cause: error });
}
