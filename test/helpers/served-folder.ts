/** A folder with a blob in a store and its index, given away by a server of ours. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { chunkKey } from '../../formats/chunk-path.ts';
import { encodeIndex } from '../../formats/index-codec.ts';
import { type ServeOptions, type ServeResult, serve } from '../../lib/api/serve.node.ts';
import { noise } from './golden.ts';
import { storeBlob, storeIn } from './stored-blob.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Of servers that accept uploads. */
export const TOKEN = 'canary-token-6f1c2f7a9d';
export const BEARER = { authorization: `Bearer ${TOKEN}` };

export interface ServedFolder {
  readonly folder: string;
  readonly content: Uint8Array;
  /** Of the index at `/x.caibx`. */
  readonly index: Uint8Array;
  /** Its chunks, in the order of the content. */
  readonly ids: readonly ChunkId[];
}

/** A blob in `default.castr` with `x.caibx`, and things that are not to be given away. */
export async function folderToServe(t: ExecutionContext): Promise<ServedFolder> {
  const folder = temporaryFolder(t);
  const content = noise(100_000);
  const index = await storeBlob(content, storeIn(folder, 'default.castr'));
  const bytes = encodeIndex(index);
  writeFileSync(join(folder, 'x.caibx'), bytes);
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'x.catar'), 'secret');
  const ids = Array.from({ length: index.count }, (_, i) => index.id(i));
  return { folder, content, index: bytes, ids };
}

/** Path of a compressed chunk on the server. */
export function chunkPath(id: ChunkId, store = 'default.castr'): string {
  return `/${store}/${chunkKey(id, '.cacnk')}`;
}

/** A server that ends with the test. */
export async function startServer(
  t: ExecutionContext,
  place: string,
  options: Partial<ServeOptions> = {},
): Promise<ServeResult> {
  const server = await serve({ place, listen: '127.0.0.1:0', ...options });
  t.teardown(() => server.close());
  return server;
}

/** A server that accepts uploads with {@link TOKEN}. */
export function startWritable(
  t: ExecutionContext,
  place: string,
  options: Partial<ServeOptions> = {},
): Promise<ServeResult> {
  return startServer(t, place, { readTokens: () => `${TOKEN}\n`, ...options });
}

/** An empty folder to upload to, and a blob elsewhere with its stored chunks. */
export async function blobToUpload(t: ExecutionContext): Promise<ServedFolder & { place: string }> {
  const source = await folderToServe(t);
  const place = join(temporaryFolder(t), 'place');
  mkdirSync(place);
  return { ...source, place };
}

/** The stored bytes of a chunk. */
export function storedChunk({ folder }: Pick<ServedFolder, 'folder'>, id: ChunkId): Buffer {
  return readFileSync(join(folder, chunkPath(id)));
}

/** Paths of all files below a folder, sorted. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
