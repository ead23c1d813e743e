/**
 * Stores on this machine as plain data and opened: the one place where castr store, local backend,
 * codecs, digests and native help meet. Used by the command line and by workers, which open the same
 * store from its description.
 */
import type { DigestName } from '../formats/chunk-id.ts';
import type { ObjectBackend } from '../store/backend.ts';
import { openLocalBackend } from '../store/backends/local.node.ts';
import { openCastrObjects } from '../store/castr-objects.ts';
import { openCastrStore } from '../store/castr-store.ts';
import type { ChunkSource, ManagedChunkStore } from '../store/chunk-store.ts';
import { PackFolder } from '../store/pack-folder.node.ts';
import { openPackedObjects, openPackedStore } from '../store/packed-store.ts';
import type { StoredChunkStore } from '../store/stored-chunk.ts';
import {
  type ChunkTranscoder,
  createTranscoder,
  type TranscoderOptions,
} from '../store/transcoder.ts';
import type { CodecName } from '../store/transforms.ts';
import { openFallbackSource } from '../store/wrap/fallback.ts';
import { createCodecs } from './compress/codecs.node.ts';
import { createDigest } from './digest/digest.node.ts';
import { createFileCalls } from './os/file-calls.node.ts';
import { syncFileSystem } from './os/file-system.node.ts';
import type { LocalStoreDescription } from './stores/store-description.ts';

export type { LocalStoreDescription };

/**
 * Opens a store for reading and writing; it need not exist. Each store opened holds back its own
 * chunks until its own `flush`.
 * @throws CasError `USAGE` if the suffix cannot be part of a name
 */
export function openLocalStore(description: LocalStoreDescription): ManagedChunkStore {
  const { digests, compression, suffix } = description;
  const options = transcoderOptions(digests, compression);
  const loose = openCastrStore(openBackend(description), { ...options, suffix });
  const packs = new PackFolder(description.folder);
  return openPackedStore(loose, { packs, transcoder: createTranscoder(options) });
}

/**
 * The chunks of a store as they are stored; it need not exist.
 * @throws CasError `USAGE` if the suffix cannot be part of a name
 */
export function openLocalObjects(description: LocalStoreDescription): StoredChunkStore {
  const loose = openCastrObjects(openBackend(description), description.suffix);
  return openPackedObjects(loose, new PackFolder(description.folder));
}

function openBackend({ folder, sync }: LocalStoreDescription): ObjectBackend {
  const calls = createFileCalls();
  return openLocalBackend(folder, { sync, syncFileSystem, ...(calls ? { calls } : {}) });
}

/** A transcoder with the digests and codecs of this machine, which works where it is called. */
export function createNodeTranscoder(
  digests: readonly DigestName[],
  compression: CodecName,
): ChunkTranscoder {
  return createTranscoder(transcoderOptions(digests, compression));
}

function transcoderOptions(
  digests: readonly DigestName[],
  compression: CodecName,
): TranscoderOptions {
  return {
    digests: digests.map(createDigest),
    codecs: createCodecs(),
    compression,
    equalBytes: (a, b) => Buffer.compare(a, b) === 0,
  };
}

/** Opens stores to read from, asked in this order. @param descriptions at least one */
export function openLocalSource(descriptions: readonly LocalStoreDescription[]): ChunkSource {
  return openFallbackSource(descriptions.map(openLocalStore));
}
