/** The stores that are served over the casync protocol, with their chunks as they are stored. */
import type { DigestName } from '../../../formats/chunk-id.ts';
import type { StoredChunkStore } from '../../../store/stored-chunk.ts';
import type { StoreOptions } from '../../api/options.ts';
import { describeStoresForReading } from '../../api/stores.node.ts';
import { openLocalObjects } from '../../local-store.node.ts';
import { openStoredChunks } from '../../stores/remote-store.node.ts';
import { isRemote, type StoreDescription } from '../../stores/store-description.ts';

/** Nothing is verified or named with it where chunks pass as they are. */
const ANY_DIGEST: DigestName = 'sha512-256';

/** @param locators may be none */
export function describeServedStores(
  locators: readonly string[],
  options: Omit<StoreOptions, 'store' | 'extraStores' | 'cacheStore'>,
): readonly StoreDescription[] {
  const [store, ...extraStores] = locators;
  if (store === undefined) return [];
  const settings = { ...options, store, extraStores };
  return describeStoresForReading(settings, undefined, ANY_DIGEST).stores;
}

/** @throws CasError `UNSUPPORTED`; StorageError */
export async function openServedStore(description: StoreDescription): Promise<StoredChunkStore> {
  return isRemote(description) ? openStoredChunks(description) : openLocalObjects(description);
}

export async function closeAll(stores: readonly StoredChunkStore[]): Promise<void> {
  for (const store of stores) await store.close();
}
