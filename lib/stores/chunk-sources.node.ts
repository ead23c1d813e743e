/** Stores of any kind as one source of chunks, for those who need few of them. */
import type { ChunkSource } from '../../store/chunk-store.ts';
import { openFallbackSource } from '../../store/wrap/fallback.ts';
import { createNodeTranscoder, openLocalStore } from '../local-store.node.ts';
import { openRemoteStore } from './remote-store.node.ts';
import { isRemote, type StoreDescription } from './store-description.ts';

/** Opens stores to read from, asked in this order. @param descriptions at least one */
export function openChunkSources(descriptions: readonly StoreDescription[]): ChunkSource {
  return openFallbackSource(descriptions.map(openSource));
}

function openSource(description: StoreDescription): ChunkSource {
  if (!isRemote(description)) return openLocalStore(description);
  const { digests, compression } = description;
  return openRemoteStore(description, { transcoder: createNodeTranscoder(digests, compression) });
}
