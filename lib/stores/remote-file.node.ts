/** Opens indexes and archives on other machines, when they are first asked for something. */

import { isCasError } from '../../formats/errors.ts';
import type { SignalOption } from '../../store/backend.ts';
import { type Place, placeLabel } from '../../store/location.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import { openFileAt } from '../../store/open-location.node.ts';
import { isSamePeer } from '../../store/peer/peer-place.node.ts';
import type { Peer } from '../../store/peer/pulled-place.node.ts';
import type { RemoteFile } from '../../store/remote-file.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import { abortedError, PipelineError } from '../errors.ts';
import { isBehindProtocol } from './remote-store.node.ts';

export interface RemoteFileOptions {
  readonly settings: LocationSettings;
  readonly kind: 'index' | 'archive';
  /** Where the chunks of an index are: perhaps one program can give both. */
  readonly store?: Place;
}

export interface OpenedRemoteFile {
  readonly file: RemoteFile;
  /** The chunks of the store, if they come from where the index comes from; closed with the file. */
  readonly chunks?: StoredChunkSource;
}

/** Errors come from the first use; what is not there is an `INDEX_MISSING`, as it is on this machine. */
export function openRemoteFile(
  place: Place,
  { settings, kind, store }: RemoteFileOptions,
): OpenedRemoteFile {
  const label = placeLabel(place);
  if (place.kind === 'url' && !isBehindProtocol(place, settings)) {
    return { file: lazyFile(label, () => openFileAt(place, settings)) };
  }
  const isShared = store !== undefined && isSamePeer(place, store);
  const things = { file: { kind, locator: place }, ...(isShared && { stores: [store] }) };
  let opening: Promise<Peer> | undefined;
  const peer = (): Promise<Peer> => {
    opening ??= import('../../store/peer/pulled-place.node.ts').then(({ openPeer }) =>
      openPeer(things, { settings }),
    );
    return opening;
  };
  const file = lazyFile(label, async () => present((await peer()).file));
  if (!isShared) return { file };
  return { file, chunks: lazyChunks(label, async () => present((await peer()).chunks)) };
}

function present<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw new TypeError('it was asked for');
  return thing;
}

/** Closed by the owner of the file that they come with. */
function lazyChunks(label: string, open: () => Promise<StoredChunkSource>): StoredChunkSource {
  return {
    label,
    has: async (id, options) => (await open()).has(id, options),
    getStored: async (id, options) => (await open()).getStored(id, options),
    close: async () => {},
  };
}

function lazyFile(label: string, open: () => Promise<RemoteFile>): RemoteFile {
  let opening: Promise<RemoteFile> | undefined;
  const opened = (): Promise<RemoteFile> => {
    opening ??= open();
    return opening;
  };
  return {
    label,
    stat: (options) => translated(options, async () => (await opened()).stat(options)),
    async *read(options) {
      try {
        yield* (await opened()).read(options);
      } catch (error) {
        throw translation(error, options);
      }
    },
    readRange: (range, options) =>
      translated(options, async () => (await opened()).readRange(range, options)),
    openWriter: (options) => translated(options, async () => (await opened()).openWriter(options)),
    async close() {
      const file = await opening?.catch(() => undefined);
      opening = undefined;
      await file?.close().catch(() => {});
    },
  };
}

async function translated<T>(options: SignalOption = {}, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translation(error, options);
  }
}

/** What storage says, in the words of pipelines. */
function translation(error: unknown, { signal }: SignalOption = {}): unknown {
  if (signal?.aborted) return abortedError();
  if (!isCasError(error) || error.code !== 'OBJECT_MISSING') return error;
  const { subject, step, reason } = error;
  return new PipelineError('INDEX_MISSING', { subject, step, reason, cause: error });
}
