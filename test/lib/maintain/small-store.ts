/** Small stores with their indexes, for tests of what looks after stores. */
import type { ChunkId, DigestName } from '../../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { type LocalStoreDescription, openLocalStore } from '../../../lib/local-store.node.ts';
import type { CodecName } from '../../../store/transforms.ts';

export function describeStore(
  folder: string,
  { digest = 'sha256', compression = 'zstd', suffix = '.cacnk' }: SmallStoreOptions = {},
): LocalStoreDescription {
  return { folder, digests: [digest], compression, suffix, sync: 'none' };
}

export interface SmallStoreOptions {
  readonly digest?: DigestName;
  readonly compression?: CodecName;
  readonly suffix?: string;
}

/** Puts chunks into a store. @returns their index */
export async function storeChunks(
  folder: string,
  chunks: readonly Uint8Array[],
  options: SmallStoreOptions = {},
): Promise<ChunkIndex> {
  const digest = createDigest(options.digest ?? 'sha256');
  const store = openLocalStore(describeStore(folder, options));
  const builder = new IndexBuilder();
  for (const chunk of chunks) {
    const id = digest.hash(chunk);
    await store.put(id, chunk);
    builder.add(id, chunk.length);
  }
  await store.flush();
  await store.close();
  return builder.finish({
    featureFlags: options.digest === 'sha512-256' ? FEATURE.sha512_256 : 0n,
    chunkSizes: { min: 1, avg: 1 << 16, max: 1 << 20 },
  });
}

/** Path of a chunk's file below its store. */
export function chunkPath(id: ChunkId, suffix = '.cacnk'): string {
  return `${id.slice(0, 4)}/${id}${suffix}`;
}
