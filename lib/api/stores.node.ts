/** Which stores belong to an index (spec/api.md, "Stores"). Used by every function that needs chunks. */
import { isAbsolute } from 'node:path';
import type { DigestName } from '../../formats/chunk-id.ts';
import { classifyLocator, defaultStore, type Place, redacted } from '../../store/location.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import { PipelineError } from '../errors.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import {
  isRemote,
  type SourceDescriptions,
  type StoreDescription,
} from '../stores/store-description.ts';
import type { PlaceOptions, StoreOptions } from './options.ts';

const DEFAULT_STORE = 'default.castr';
const DEFAULT_SUFFIX = '.cacnk';

/**
 * Checks that a locator names something on this machine.
 * @returns the path, with `file://` taken off
 * @throws PipelineError `UNSUPPORTED` for URLs and ssh locators
 */
export function localPath(locator: string): string {
  const classified = classifyLocator(locator);
  if (classified.kind === 'path') return classified.path;
  throw new PipelineError('UNSUPPORTED', {
    subject: redacted(locator),
    reason: 'Only a place on this machine can be used here.',
  });
}

/** The place that a locator names if it is not on this machine. */
export function remotePlace(locator: string): Place | undefined {
  const classified = classifyLocator(locator);
  return classified.kind === 'path' ? undefined : classified;
}

/** What is known of a place besides its locator. */
export function settingsOf(locator: string, { settingsFor }: PlaceOptions): LocationSettings {
  return settingsFor?.(locator) ?? { environment: process.env };
}

/** Where the first store is. @param index locator of the index; undefined if it has none */
export function mainStore({ store }: StoreOptions, index: string | undefined): string {
  if (store !== undefined) return store;
  const locator = index === undefined ? DEFAULT_STORE : defaultStore(index);
  return remotePlace(locator) || isAbsolute(locator) ? locator : `./${locator}`;
}

function describe(locator: string, digest: DigestName, options: StoreOptions): StoreDescription {
  // Not the current folder: scripts come here with variables that are not set.
  if (locator === '') {
    throw new PipelineError('USAGE', {
      subject: 'Failed to set store',
      reason: 'Invalid argument',
    });
  }
  const place = remotePlace(locator);
  if (place === undefined) return describeFolder(localPath(locator), digest, options);
  const { compression = 'zstd', suffix = DEFAULT_SUFFIX } = options;
  return {
    place,
    settings: settingsOf(locator, options),
    digests: [digest],
    compression,
    suffix,
  };
}

function describeFolder(
  folder: string,
  digest: DigestName,
  options: StoreOptions,
): LocalStoreDescription {
  const { compression = 'zstd', sync = 'group', suffix = DEFAULT_SUFFIX } = options;
  return { folder, digests: [digest], compression, suffix, sync };
}

/** @param index locator of the index to be made; undefined if it has none */
export function describeStoreForWriting(
  options: StoreOptions,
  index: string | undefined,
  digest: DigestName,
): StoreDescription {
  return describe(mainStore(options, index), digest, options);
}

/**
 * All stores that chunks may come from, in order.
 * @param index locator of the index, if it has one
 * @param opened chunks of the first store, if they come with the index
 */
export function describeStoresForReading(
  options: StoreOptions,
  index: string | undefined,
  digest: DigestName,
  opened?: StoredChunkSource,
): SourceDescriptions {
  const locators = [mainStore(options, index), ...(options.extraStores ?? [])];
  const stores = locators.map((locator) => describe(locator, digest, options));
  const [first] = stores;
  if (opened && first && isRemote(first)) stores[0] = { ...first, opened };
  const { cacheStore } = options;
  if (cacheStore === undefined) return { stores };
  return { stores, cache: describeFolder(localPath(cacheStore), digest, options) };
}
