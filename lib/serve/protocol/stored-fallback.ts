/** Several stores as one, for chunks that are passed on as they are. Used by pull.node.ts. */
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { isCasError } from '../../../formats/errors.ts';
import type {
  GetStoredOptions,
  StoredChunk,
  StoredChunkSource,
} from '../../../store/stored-chunk.ts';
import { chunkDamaged } from '../../../store/transcoder.ts';

/** What is read of stores; closed by whoever opened it. */
export type StoredChunkReader = Pick<StoredChunkSource, 'label' | 'getStored'>;

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
      const chunk = await source.getStored(id, options);
      if (chunk.bytes.length > 0) return chunk;
      throw chunkDamaged(`${source.label}: chunk ${id}`, 'no bytes');
    } catch (error) {
      if (!isCasError(error)) throw error;
      if (failure === undefined || isMissing(failure.error)) failure = { error };
    }
  }
  throw failure?.error;
}
