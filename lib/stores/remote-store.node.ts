/**
 * Opens stores on other machines from their descriptions: the one place where names, transcoder and
 * storage meet for them, as local-store.node.ts is for this machine.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { ObjectBackend, SignalOption } from '../../store/backend.ts';
import { openCastrObjects } from '../../store/castr-objects.ts';
import type { ChunkStore, GetOptions } from '../../store/chunk-store.ts';
import { type Place, placeLabel } from '../../store/location.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import { isKnownScheme, openBackendAt } from '../../store/open-location.node.ts';
import { hasOwnHelper } from '../../store/peer/ssh-command.node.ts';
import type { StoredChunkStore } from '../../store/stored-chunk.ts';
import {
  openTranscodedStore,
  readOnly,
  type TranscodedOptions,
} from '../../store/transcoded-store.ts';
import type { RemoteStoreDescription } from './store-description.ts';

/**
 * Whether programs speak for a place, over ssh or as helpers for schemes, and not we ourselves: what they
 * store is nothing but chunks, indexes and archives.
 */
export function isBehindProtocol(place: Place, settings: LocationSettings): boolean {
  if (place.kind === 'ssh') return true;
  return !isKnownScheme(place.scheme) || hasOwnHelper(place.scheme, settings);
}

/** The storage of a store, if it is made of objects. @throws CasError `UNSUPPORTED`; StorageError */
export async function openRemoteBackend({
  place,
  settings,
}: RemoteStoreDescription): Promise<ObjectBackend | undefined> {
  if (place.kind === 'ssh' || isBehindProtocol(place, settings)) return undefined;
  return openBackendAt(place, settings);
}

/**
 * The chunks of a store as they are stored.
 * @throws CasError `UNSUPPORTED`, `USAGE`; StorageError
 */
export async function openStoredChunks(
  description: RemoteStoreDescription,
): Promise<StoredChunkStore> {
  const { place, settings, suffix, opened, digests } = description;
  if (opened !== undefined) return readOnly(opened);
  if (place.kind === 'url' && !isBehindProtocol(place, settings)) {
    return openCastrObjects(await openBackendAt(place, settings), suffix, {
      asksForPlain: false,
    });
  }
  const { openPeer } = await import('../../store/peer/pulled-place.node.ts');
  if (place.kind === 'url') {
    const { chunks } = openPeer({ stores: [place] }, { settings });
    if (chunks === undefined) throw new TypeError('a store was asked for');
    return readOnly(chunks);
  }
  const { openPeerStore } = await import('../../store/peer/peer-store.node.ts');
  return openPeerStore(place, { settings, digest: digests[0] });
}

/** Opens a store when it is first asked for something. */
export function openRemoteStore(
  description: RemoteStoreDescription,
  options: TranscodedOptions,
): ChunkStore {
  return lazyStore(placeLabel(description.place), async () =>
    openTranscodedStore(await openStoredChunks(description), options),
  );
}

/** A store that is opened when it is first asked for something. */
export function lazyStore(label: string, open: () => Promise<ChunkStore>): ChunkStore {
  return new LazyStore(label, open);
}

class LazyStore implements ChunkStore {
  readonly label: string;
  readonly #open: () => Promise<ChunkStore>;
  #store: Promise<ChunkStore> | undefined;

  constructor(label: string, open: () => Promise<ChunkStore>) {
    this.label = label;
    this.#open = open;
  }

  async has(id: ChunkId, options?: SignalOption): Promise<boolean> {
    return (await this.#opened()).has(id, options);
  }

  async get(id: ChunkId, options?: GetOptions): Promise<Uint8Array> {
    return (await this.#opened()).get(id, options);
  }

  async put(id: ChunkId, plain: Uint8Array, options?: SignalOption): Promise<'stored' | 'present'> {
    return (await this.#opened()).put(id, plain, options);
  }

  async flush(options?: SignalOption): Promise<void> {
    if (this.#store !== undefined) await (await this.#store).flush(options);
  }

  async close(): Promise<void> {
    const opening = this.#store;
    this.#store = undefined;
    await opening?.then(
      (store) => store.close(),
      () => {},
    );
  }

  #opened(): Promise<ChunkStore> {
    this.#store ??= this.#open();
    return this.#store;
  }
}
