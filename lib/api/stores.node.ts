/** Which stores belong to an index (spec/api.md, "Stores"). Used by every function that needs chunks. */
import { dirname, isAbsolute, join } from 'node:path';
import type { DigestName } from '../../formats/chunk-id.ts';
import { classifyLocator } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import type { StoreOptions } from './options.ts';

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
    subject: locator,
    reason: 'Remote locations are not available in this version.',
  });
}

/** Where the first store is. @param index path of the index; undefined if it has none */
export function mainStore({ store }: StoreOptions, index: string | undefined): string {
  if (store !== undefined) return store;
  const path = index === undefined ? DEFAULT_STORE : join(dirname(index), DEFAULT_STORE);
  return isAbsolute(path) ? path : `./${path}`;
}

function describe(locator: string, digest: DigestName, options: StoreOptions) {
  // Not the current folder: scripts come here with variables that are not set.
  if (locator === '') {
    throw new PipelineError('USAGE', {
      subject: 'Failed to set store',
      reason: 'Invalid argument',
    });
  }
  const { compression = 'zstd', sync = 'group', suffix = DEFAULT_SUFFIX } = options;
  return { folder: localPath(locator), digests: [digest], compression, suffix, sync };
}

/** @param index path of the index to be made; undefined if it has none */
export function describeStoreForWriting(
  options: StoreOptions,
  index: string | undefined,
  digest: DigestName,
): LocalStoreDescription {
  return describe(mainStore(options, index), digest, options);
}

/** All stores that chunks may come from, in order. @param index path of the index, if it has one */
export function describeStoresForReading(
  options: StoreOptions,
  index: string | undefined,
  digest: DigestName,
): readonly LocalStoreDescription[] {
  const locators = [mainStore(options, index), ...(options.extraStores ?? [])];
  return locators.map((locator) => describe(locator, digest, options));
}
