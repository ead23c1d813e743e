/** Files made by the original casync, and the byte patterns that many tests share. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the golden files; its README says what each of them is. */
export const GOLDEN: string = fileURLToPath(new URL('../golden/casync2/', import.meta.url));

/** A golden file as plain Uint8Array. */
export function golden(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(GOLDEN, path)));
}

/** A file of spec/vectors, whose shape the caller knows. */
export function vectors<T>(name: string): T {
  const url = new URL(`../../spec/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as T;
}

export interface GoldenChunk {
  /** Name of the store, relative to the golden files. */
  readonly store: string;
  /** Chunk id, as in the file's name. */
  readonly id: string;
  readonly stored: Uint8Array;
}

/** Every chunk file of the store. */
export function goldenChunks(store: string): readonly GoldenChunk[] {
  return readdirSync(join(GOLDEN, store)).flatMap((shard) =>
    readdirSync(join(GOLDEN, store, shard)).map((name) => ({
      store,
      id: name.replace('.cacnk', ''),
      stored: golden(join(store, shard, name)),
    })),
  );
}

/** All golden stores. */
export const GOLDEN_STORES: readonly string[] = ['stores', 'tree'].flatMap((folder) =>
  readdirSync(join(GOLDEN, folder))
    .filter((name) => name.endsWith('.castr'))
    .map((name) => join(folder, name)),
);

/** Bytes that look random and are the same in each run: xorshift32 from `seed`. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 8;
  }
  return bytes;
}

/** Bytes that compress well without being constant. */
export function text(length: number): Uint8Array {
  const line = 'the quick brown fox jumps over the lazy dog 0123456789\n';
  return Uint8Array.from({ length }, (_, i) => line.charCodeAt((i + (i >> 9)) % line.length));
}
