/** Several stores as one, for chunks that are passed on as they are. Used by pull.node.ts. */
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { isCasError } from '../../../formats/errors.ts';
import type {
  GetStoredOptions,
  StoredChunk,
  StoredChunkSource,
} from '../../../store/stored-chunk.ts';

/** What is read of chunks; closed by whoever opened it. */
export type StoredChunkReader = Pick<StoredChunkSource, 'getStored'>;

function isMissing(error: unknown): boolean {
  return isCasError(error) && error.code === 'CHUNK_MISSING';
}

/**
 * The chunk from the first store that has it.
 * @param sources at least one
 * @throws ChunkMissing if all of them say so, else the first failure that is something else
 */
export async function getFromFirst(
  sources: readonly StoredChunkReader[],
  id: ChunkId,
  options: GetStoredOptions,
): Promise<StoredChunk> {
  let failure: { readonly error: unknown } | undefined;
  for (const source of sources) {
    try {
      return await source.getStored(id, options);
    } catch (error) {
      if (!isCasError(error)) throw error;
      if (failure === undefined || isMissing(failure.error)) failure = { error };
    }
  }
  throw failure?.error;
}
