/**
 * Chunks that lie in packs, for clients that ask for one file after another (spec/remote.md, "What is
 * served"): each looks as if it had a file of its own.
 */
import { realpathSync } from 'node:fs';
import { PACK_FOLDER, PackFolder } from '../../../store/pack-folder.node.ts';
import type { StoredChunk } from '../../../store/stored-chunk.ts';
import { createCodecs } from '../../compress/codecs.node.ts';
import type { ChunkRoute } from './route.ts';
import type { ServedFile } from './served-place.ts';

/** Stores of which packs are held open. */
const MOST_STORES = 64;
/** Chunks never change. */
const ALWAYS = new Date(0);

export class PackedChunks {
  readonly #folder: string;
  readonly #isInside: (realPath: string) => boolean;
  readonly #stores = new Map<string, PackFolder>();
  readonly #codec = createCodecs().zstd;

  /** @param folder what is served. @param isInside whether a path without links lies in it */
  constructor(folder: string, isInside: (realPath: string) => boolean) {
    this.#folder = folder;
    this.#isInside = isInside;
  }

  /** @returns undefined if no pack has it in the form that is asked for. @throws StorageError */
  async open({ store, id, isCompressed }: ChunkRoute): Promise<ServedFile | undefined> {
    const packs = this.#packsOf(store);
    if (packs === undefined || !packs.has(id)) return undefined;
    const chunk = await packs.getStored(id, { maxSize: Number.POSITIVE_INFINITY });
    const bytes = await this.#inForm(chunk, isCompressed);
    return bytes && servedBytes(bytes, id);
  }

  async close(): Promise<void> {
    for (const packs of this.#stores.values()) await packs.close();
    this.#stores.clear();
  }

  #packsOf(store: string): PackFolder | undefined {
    const path = `${this.#folder}/${store}`;
    if (!this.#hasPacksInside(path)) return undefined;
    const known = this.#stores.get(store);
    if (known !== undefined) return known;
    for (const [oldest, packs] of this.#stores) {
      if (this.#stores.size < MOST_STORES) break;
      this.#stores.delete(oldest);
      void packs.close();
    }
    const packs = new PackFolder(path);
    this.#stores.set(store, packs);
    return packs;
  }

  #hasPacksInside(store: string): boolean {
    try {
      return this.#isInside(realpathSync(`${store}/${PACK_FOLDER}`));
    } catch {
      // A store without packs, or none at all.
      return false;
    }
  }

  async #inForm(
    { bytes, isPlain }: StoredChunk,
    isCompressed: boolean,
  ): Promise<Uint8Array | undefined> {
    if (isPlain === !isCompressed) return bytes.slice();
    return isPlain ? this.#codec.compress(bytes) : undefined;
  }
}

function servedBytes(bytes: Uint8Array, version: string): ServedFile {
  return {
    size: bytes.length,
    modified: ALWAYS,
    version,
    read: ({ offset, length }) => bytes.subarray(offset, offset + length),
    close: () => {},
  };
}
