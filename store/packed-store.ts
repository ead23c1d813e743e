/**
 * A store whose chunks are partly in packs: those are read there, all others, and what comes, as files
 * of their own (spec/formats/pack.md, "In a store"). Used wherever a store on this machine is opened.
 */
import { isCasError } from '../formats/errors.ts';
import type { ManagedChunkStore } from './chunk-store.ts';
import type { StoredChunkSource, StoredChunkStore } from './stored-chunk.ts';
import { openTranscodedStore, readOnly } from './transcoded-store.ts';
import type { ChunkTranscoder } from './transcoder.ts';

export interface PackedStoreOptions {
  readonly packs: StoredChunkSource;
  readonly transcoder: ChunkTranscoder;
}

/** @param loose what has a file for each chunk; both belong to the result */
export function openPackedStore(
  loose: ManagedChunkStore,
  { packs, transcoder }: PackedStoreOptions,
): ManagedChunkStore {
  const packed = openTranscodedStore(readOnly(packs), { transcoder });
  return {
    label: loose.label,
    has: async (id, options) => (await packs.has(id, options)) || loose.has(id, options),
    get: (id, options) =>
      firstOf(
        () => packs.has(id, options),
        () => packed.get(id, options),
        () => loose.get(id, options),
      ),
    async put(id, plain, options) {
      if (await packs.has(id, options)) return 'present';
      return loose.put(id, plain, options);
    },
    flush: (options) => loose.flush(options),
    list: (options) => loose.list(options),
    remove: (id, options) => loose.remove(id, options),
    async close() {
      await packed.close();
      await loose.close();
    },
  };
}

/** The same for chunks as they are stored. */
export function openPackedObjects(
  loose: StoredChunkStore,
  packs: StoredChunkSource,
): StoredChunkStore {
  return {
    label: loose.label,
    has: async (id, options) => (await packs.has(id, options)) || loose.has(id, options),
    getStored: (id, options) =>
      firstOf(
        () => packs.has(id, options),
        () => packs.getStored(id, options),
        () => loose.getStored(id, options),
      ),
    async putStored(id, bytes, options = {}) {
      if (options.replace !== true && (await packs.has(id, options))) return 'present';
      return loose.putStored(id, bytes, options);
    },
    flush: (options) => loose.flush(options),
    async close() {
      await packs.close();
      await loose.close();
    },
  };
}

/**
 * From a pack if one has it, else from its own file; what neither has is looked for in packs that have
 * come meanwhile. Damage in one place is made good by the other.
 */
async function firstOf<Chunk>(
  isPacked: () => boolean | Promise<boolean>,
  fromPack: () => Promise<Chunk>,
  fromFile: () => Promise<Chunk>,
): Promise<Chunk> {
  const [first, second] = (await isPacked()) ? [fromPack, fromFile] : [fromFile, fromPack];
  let failure: unknown;
  try {
    return await first();
  } catch (error) {
    if (!helpsElsewhere(error)) throw error;
    failure = error;
  }
  try {
    return await second();
  } catch (error) {
    // Damage says more than absence.
    throw isMissing(error) || !isMissing(failure) ? failure : error;
  }
}

function helpsElsewhere(error: unknown): boolean {
  return isMissing(error) || (isCasError(error) && error.code === 'CHUNK_DAMAGED');
}

function isMissing(error: unknown): boolean {
  return isCasError(error) && error.code === 'CHUNK_MISSING';
}
