/** From a locator to the place that is served: a folder of this machine, or one of another storage. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { classifyLocator, redacted } from '../../../store/location.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { openBackendAt, type UrlLocator } from '../../../store/open-location.node.ts';
import { PipelineError } from '../../errors.ts';
import { createBackendPlace } from './backend-place.ts';
import { openLeasedStore } from './leased-store.node.ts';
import { openLocalPlace } from './local-place.node.ts';
import type { LeasedStore } from './makers.ts';
import type { ServedPlace } from './served-place.ts';

export interface OpenedPlace {
  readonly place: ServedPlace;
  /** Whether it is a store; else it holds stores and indexes. */
  readonly isStore: boolean;
  readonly canWrite: boolean;
  /** Opens a store below it under a lease. @throws CasError `LEASE_HELD`; StorageError */
  openStore(store: string, waitMs: number): Promise<LeasedStore>;
}

/** What a lease has no use for. */
const LEASE_ONLY = { digests: [], compression: 'zstd', suffix: '' } as const;
const STORE_NAME = /\.castr$/;

/**
 * @param settingsOf what is known of a place elsewhere
 * @throws StorageError; CasError `UNSUPPORTED` for what is no storage, `STORE_MISSING`
 */
export async function openPlace(
  locator: string,
  settingsOf: (locator: string) => LocationSettings,
): Promise<OpenedPlace> {
  const classified = classifyLocator(locator);
  if (classified.kind === 'url') return openUrl(classified, settingsOf(locator));
  if (classified.kind === 'path') return openFolder(classified.path);
  const reason = 'Only folders of this machine and storage with a URL can be served.';
  throw new PipelineError('UNSUPPORTED', { subject: redacted(locator), reason });
}

function openFolder(folder: string): OpenedPlace {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new PipelineError('STORE_MISSING', { subject: folder, reason: 'no such folder' });
  }
  const place = openLocalPlace(folder);
  return {
    place,
    isStore: STORE_NAME.test(folder.replace(/\/+$/, '')),
    canWrite: true,
    async openStore(store, waitMs) {
      // Nothing is written, not even a lease, where the store does not lie inside.
      const backend = await place.openFolder(store);
      return openLeasedStore({ folder: join(folder, store) }, { waitMs }, backend);
    },
  };
}

async function openUrl(locator: UrlLocator, settings: LocationSettings): Promise<OpenedPlace> {
  const url = locator.url.replace(/[?;].*$/s, '').replace(/\/+$/, '');
  const below = (folder: string): UrlLocator => ({
    ...locator,
    url: folder === '' ? url : `${url}/${folder}`,
  });
  const openBelow = (folder: string) => openBackendAt(below(folder), settings);
  const backend = await openBelow('');
  return {
    place: createBackendPlace(backend, openBelow),
    isStore: STORE_NAME.test(url),
    canWrite: backend.can.write,
    async openStore(store, waitMs) {
      const described = { place: below(store), settings, ...LEASE_ONLY };
      return openLeasedStore(described, { waitMs }, await openBelow(store));
    },
  };
}
