/** A blob in a store on disk with its index, for tests of what reads it. */
import { join } from 'node:path';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import type { LocalStoreDescription } from '../../lib/local-store.node.ts';
import { segmentsOfStream } from '../../lib/make/segment.ts';
import { StreamStorer } from '../../lib/make/store-stream.node.ts';

export const SMALL_CHUNKS: ChunkSizes = { min: 1024, avg: 4096, max: 16384 };

export function storeIn(folder: string, name = 'store.castr'): LocalStoreDescription {
  return {
    folder: join(folder, name),
    digests: ['sha512-256'],
    compression: 'zstd',
    suffix: '.cacnk',
    sync: 'none',
  };
}

/** Stores `content`. @returns its index */
export async function storeBlob(
  content: Uint8Array,
  store: LocalStoreDescription,
  chunkSizes: ChunkSizes = SMALL_CHUNKS,
): Promise<ChunkIndex> {
  const storer = new StreamStorer({
    store,
    header: { featureFlags: FEATURE.sha512_256, chunkSizes },
    threadCount: 0,
  });
  try {
    const { index } = await storer.store(segmentsOfStream([content]));
    return index;
  } finally {
    await storer.close();
  }
}
