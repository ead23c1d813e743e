/** Programs that serve the casync protocol, and a store for them to serve, for tests of its clients. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { concatBytes } from '../../formats/bytes.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import type { RemoteFile } from '../../store/remote-file.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import { GOLDEN, golden } from './golden.ts';
import { findCommand } from './requirements.ts';

/** Where desync may be, if it is not in PATH. */
const DESYNC_PLACES = ['/tmp/sid/root/usr/bin/desync'];

/** Full path of desync, undefined if there is none. */
export function findDesync(): string | undefined {
  const found = findCommand('desync');
  if (found !== undefined) return found;
  return DESYNC_PLACES.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A golden store, an index of chunks in it, and their place on any host. */
export const SERVED = {
  store: `host:${join(GOLDEN, 'stores/zstd-sha512-256.castr')}`,
  indexFile: `host:${join(GOLDEN, 'blob-index/b300000-default.caibx')}`,
  archiveFile: `host:${join(GOLDEN, 'mini/many.catar')}`,
  indexBytes: golden('blob-index/b300000-default.caibx'),
  archiveBytes: golden('mini/many.catar'),
} as const;

export const SERVED_INDEX: ChunkIndex = decodeIndex(SERVED.indexBytes);

/** The chunk of the golden store as it is stored there. */
export function servedChunk(i: number): Uint8Array {
  const id = SERVED_INDEX.id(i);
  return golden(`stores/zstd-sha512-256.castr/${id.slice(0, 4)}/${id}.cacnk`);
}

/** The whole file, in one piece. */
export async function collected(file: RemoteFile | undefined): Promise<Uint8Array> {
  if (file === undefined) throw new Error('no file');
  const all: Uint8Array[] = [];
  for await (const piece of file.read()) all.push(piece.slice());
  return concatBytes(all);
}

/** All chunks of the index, asked for at once. */
export async function allChunks(
  source: StoredChunkSource | undefined,
): Promise<readonly Uint8Array[]> {
  if (source === undefined) throw new Error('no chunks');
  const indexes = Array.from({ length: SERVED_INDEX.count }, (_, i) => i);
  const got = indexes.map((i) => source.getStored(SERVED_INDEX.id(i), { maxSize: 1_000_000 }));
  return (await Promise.all(got)).map(({ bytes }) => bytes);
}
