/** Chunk ids as names inside a castr store (spec/formats/castr.md, "Layout"). */
import { type ChunkId, parseChunkId } from './chunk-id.ts';

const SHARD_LENGTH = 4;

/** `abcd/abcd...SUFFIX`: the place of a chunk below the store. */
export function chunkKey(id: ChunkId, suffix: string): string {
  return `${id.slice(0, SHARD_LENGTH)}/${id}${suffix}`;
}

/** The chunk that is stored under `key`, undefined if that is no chunk's place. */
export function parseChunkKey(key: string, suffix: string): ChunkId | undefined {
  const id = parseChunkId(key.slice(SHARD_LENGTH + 1, key.length - suffix.length));
  return id !== undefined && key === chunkKey(id, suffix) ? id : undefined;
}
