/**
 * Stores on this machine as plain data and opened: the one place where castr store, local backend,
 * codecs, digests and native help meet. Used by the command line and by workers, which open the same
 * store from its description.
 */
import type { DigestName } from '../formats/chunk-id.ts';
import { openLocalBackend } from '../store/backends/local.node.ts';
import { openCastrStore } from '../store/castr-store.ts';
import type { ChunkSource, ManagedChunkStore } from '../store/chunk-store.ts';
import type { CodecName } from '../store/transforms.ts';
import { openFallbackSource } from '../store/wrap/fallback.ts';
import { createCodecs } from './compress/codecs.node.ts';
import { createDigest } from './digest/digest.node.ts';
import { createFileCalls } from './os/file-calls.node.ts';
import { syncFileSystem } from './os/file-system.node.ts';

/** `group`: chunks are durable when flushed. `none`: never synced; for scratch and comparison. */
export type SyncMode = 'group' | 'none';

/** Everything that opening a store needs, as data that can be sent to workers. */
export interface LocalStoreDescription {
  readonly folder: string;
  /** Tried in order when a chunk is verified; one where an index says which. */
  readonly digests: readonly DigestName[];
  /** Of new chunks. */
  readonly compression: CodecName;
  /** Of compressed chunks, for example `.cacnk`. */
  readonly suffix: string;
  readonly sync: SyncMode;
}

/**
 * Opens a store for reading and writing; it need not exist. Each store opened holds back its own
 * chunks until its own `flush`.
 * @throws CasError `USAGE` if the suffix cannot be part of a name
 */
export function openLocalStore(description: LocalStoreDescription): ManagedChunkStore {
  const { folder, digests, compression, suffix, sync } = description;
  const calls = createFileCalls();
  const backend = openLocalBackend(folder, { sync, syncFileSystem, ...(calls ? { calls } : {}) });
  return openCastrStore(backend, {
    digests: digests.map(createDigest),
    codecs: createCodecs(),
    compression,
    suffix,
    equalBytes: (a, b) => Buffer.compare(a, b) === 0,
  });
}

/** Opens stores to read from, asked in this order. @param descriptions at least one */
export function openLocalSource(descriptions: readonly LocalStoreDescription[]): ChunkSource {
  return openFallbackSource(descriptions.map(openLocalStore));
}
