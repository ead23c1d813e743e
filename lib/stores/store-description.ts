/** Stores as plain data, wherever they are: what pipelines are told of them. */
import type { DigestName } from '../../formats/chunk-id.ts';
import type { Place } from '../../store/location.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import type { CodecName } from '../../store/transforms.ts';

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

export interface RemoteStoreDescription {
  readonly place: Place;
  readonly settings: LocationSettings;
  /** Tried in order when a chunk is verified; one where an index says which. */
  readonly digests: readonly DigestName[];
  /** Of new chunks. */
  readonly compression: CodecName;
  /** Of compressed chunks, for example `.cacnk`. */
  readonly suffix: string;
  /** The chunks, where the program that gives the index gives them, too; it is closed by its owner. */
  readonly opened?: StoredChunkSource;
}

export type StoreDescription = LocalStoreDescription | RemoteStoreDescription;

/** Where chunks are read from: all stores of this machine are asked before all others. */
export interface SourceDescriptions {
  readonly stores: readonly StoreDescription[];
  /** Is asked first, and gets what comes from other machines. */
  readonly cache?: LocalStoreDescription;
}

export function isRemote(description: StoreDescription): description is RemoteStoreDescription {
  return 'place' in description;
}

/** The sources on this machine, in the order in which they are asked. */
export function localSources({
  stores,
  cache,
}: SourceDescriptions): readonly LocalStoreDescription[] {
  const local = stores.filter((store) => !isRemote(store)) as LocalStoreDescription[];
  return cache === undefined ? local : [cache, ...local];
}

/** All others. */
export function remoteSources({ stores }: SourceDescriptions): readonly RemoteStoreDescription[] {
  return stores.filter(isRemote);
}
