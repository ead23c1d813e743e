/**
 * An index or archive behind the casync protocol as a RemoteFile, and the chunks beside it as a source,
 * from one program where that is possible. Rules: spec/remote.md, "ssh and helpers".
 */
import { concatBytes } from '../../formats/bytes.ts';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { isCasError, LimitExceeded } from '../../formats/errors.ts';
import { MAX_SENT_CHUNK_SIZE } from '../../formats/remote-protocol.ts';
import type { ObjectRange, SignalOption } from '../backend.ts';
import { ChunkMissing } from '../errors.ts';
import { classifyLocator, defaultStore, placeLabel } from '../location.ts';
import type { FileWriter, RemoteFile, RemoteFileInfo } from '../remote-file.ts';
import type { GetStoredOptions, StoredChunk, StoredChunkSource } from '../stored-chunk.ts';
import { SYSTEM_CLOCK } from '../wrap/clock.ts';
import { Retrier } from '../wrap/retry.ts';
import {
  type PeerLocator,
  type PeerOptions,
  type PeerThings,
  peerCommand,
  processOptions,
} from './peer-place.node.ts';
import { PullSession } from './pull-session.node.ts';
import { type ChunkGiver, PushSession } from './push-session.node.ts';
import { RecentChunks } from './recent-chunks.ts';

/** What is behind the locators that were given; each end of one leaves the others open. */
export interface Peer {
  /** The index or archive. Its size is not known, and there are no parts of it. */
  readonly file: RemoteFile | undefined;
  readonly chunks: StoredChunkSource | undefined;
  close(): Promise<void>;
}

export interface PulledThings {
  /** An index, or an archive or blob as a whole. */
  readonly file?: { readonly kind: 'index' | 'archive'; readonly locator: PeerLocator };
  /** Of the same place. Asked in order. */
  readonly stores?: readonly PeerLocator[];
}

/**
 * Opens what is to be read at one place. Programs are started when something is asked for: one for file
 * and chunks; others only where the file is read again, and for chunks after a connection was lost.
 */
export function openPeer(things: PulledThings, options: PeerOptions): Peer {
  return new PulledPlace(things, options);
}

class PulledPlace implements Peer {
  readonly file: RemoteFile | undefined;
  readonly chunks: StoredChunkSource | undefined;
  readonly #things: PulledThings;
  readonly #options: PeerOptions;
  readonly #retrier: Retrier;
  /** The one for chunks; also for the file until that has been taken. */
  #session: PullSession | undefined;
  #isFileTaken = false;
  readonly #open = new Set<PullSession>();

  constructor(things: PulledThings, options: PeerOptions) {
    this.#things = things;
    this.#options = options;
    const { file, stores = [] } = things;
    const [store] = stores;
    const { attemptCount, onRetry } = options.settings;
    this.#retrier = new Retrier(store ? placeLabel(store) : '', {
      clock: SYSTEM_CLOCK,
      random: Math.random,
      ...(attemptCount !== undefined && { attemptCount }),
      ...(onRetry && { onRetry }),
    });
    this.file = file && this.#fileAt(file);
    this.chunks = store && this.#chunksOf(store);
  }

  async close(): Promise<void> {
    const open = [...this.#open];
    this.#session = undefined;
    await Promise.all(open.map((session) => session.close()));
  }

  #chunksOf(store: PeerLocator): StoredChunkSource {
    const recent = new RecentChunks();
    const getStored = async (id: ChunkId, options: GetStoredOptions): Promise<StoredChunk> => {
      const known = recent.get(id, options.into);
      if (known !== undefined && known.bytes.length <= options.maxSize) return known;
      const get = () => this.#chunkSession(id).getStored(id, options);
      const chunk = await this.#retrier.run(get, options.signal);
      recent.add(id, chunk);
      return chunk;
    };
    return {
      label: placeLabel(store),
      getStored,
      has: (id, options) => hasChunk(() => getStored(id, { ...options, maxSize: ANY_SIZE })),
      close: () => this.close(),
    };
  }

  #fileAt({ kind, locator }: NonNullable<PulledThings['file']>): RemoteFile {
    const read = (options?: SignalOption) => this.#readFile(options);
    return {
      label: placeLabel(locator),
      stat: async (): Promise<RemoteFileInfo> => ({ hasRanges: false }),
      read,
      readRange: (range, options) => readPart(read(options), range),
      openWriter: async (options) =>
        openPeerWriter(
          kind,
          { locator, stores: this.#things.stores ?? [] },
          { ...this.#options, ...options },
        ),
      close: () => this.close(),
    };
  }

  #chunkSession(id: ChunkId): PullSession {
    const session = this.#session;
    if (session?.canAsk(id)) return session;
    session?.retire();
    // A file that has not been read yet comes with the chunks.
    return this.#start({ withFile: !this.#isFileTaken && session === undefined, hasChunks: true });
  }

  async *#readFile(options?: SignalOption): AsyncGenerator<Uint8Array> {
    options?.signal?.throwIfAborted();
    const hasChunks = this.chunks !== undefined;
    const isShared = hasChunks && !this.#isFileTaken;
    if (isShared) {
      this.#isFileTaken = true;
      const session = this.#session ?? this.#start({ withFile: true, hasChunks });
      yield* session.readFile(options);
      return;
    }
    const session = this.#start({ withFile: true, hasChunks: false });
    try {
      yield* session.readFile(options);
    } finally {
      await session.close();
    }
  }

  #start({ withFile, hasChunks }: { withFile: boolean; hasChunks: boolean }): PullSession {
    const { file, stores = [] } = this.#things;
    const wanted = withFile ? file : undefined;
    const things: PeerThings = {
      ...(wanted && { [wanted.kind]: wanted.locator }),
      ...(hasChunks && { stores }),
    };
    const place = wanted?.locator ?? stores[0];
    const session = new PullSession(peerCommand('pull', things, this.#options), {
      ...processOptions(place, this.#options),
      ...(wanted && { file: wanted.kind }),
      hasChunks,
    });
    this.#open.add(session);
    void session.ended.then(() => this.#open.delete(session));
    if (!hasChunks) return session;
    this.#session = session;
    return session;
  }
}

/** What no message exceeds. */
const ANY_SIZE = MAX_SENT_CHUNK_SIZE;

/** The protocol cannot ask for less than the chunk. */
async function hasChunk(get: () => Promise<StoredChunk>): Promise<boolean> {
  try {
    await get();
    return true;
  } catch (error) {
    if (isCasError(error) && error.code === 'CHUNK_MISSING') return false;
    throw error;
  }
}

/** Most bytes that are kept of a part. */
const MAX_PART_SIZE = 1024 * 1024 * 1024;

async function readPart(
  pieces: AsyncIterable<Uint8Array>,
  { offset, length }: ObjectRange,
): Promise<Uint8Array> {
  if (length > MAX_PART_SIZE) {
    throw new LimitExceeded({ reason: `a part of more than ${MAX_PART_SIZE} bytes` });
  }
  const parts: Uint8Array[] = [];
  let position = 0;
  for await (const piece of pieces) {
    const from = Math.max(0, offset - position);
    const part = piece.subarray(from, Math.max(from, offset + length - position));
    if (part.length > 0) parts.push(part);
    position += piece.length;
    if (position >= offset + length) break;
  }
  return concatBytes(parts);
}

export interface WrittenFile {
  readonly locator: PeerLocator;
  /** At the same place: must have all chunks of an index already. */
  readonly stores?: readonly PeerLocator[];
}

/**
 * A file that is stored there. With stores, an index appears only if they have all of its chunks when the
 * other side looks; without, nobody looks.
 * @throws CasError `USAGE`
 */
export function openPeerWriter(
  kind: 'index' | 'archive',
  { locator, stores = [] }: WrittenFile,
  options: PeerOptions & SignalOption,
): FileWriter {
  // The original waits for ever for the chunks of an index if it is told of no store.
  const named = stores.length > 0 ? stores : [storeBeside(locator)];
  const things = { [kind]: locator, ...(kind === 'index' && { stores: named }) };
  return new PushSession(peerCommand('push', things, options), {
    ...processOptions(locator, options),
    file: kind,
    signal: options.signal,
    ...(kind === 'index' && stores.length > 0 && { getChunk: noLongerThere(placeLabel(locator)) }),
  });
}

/** The chunks are there; or somebody has removed them meanwhile. */
function noLongerThere(label: string): ChunkGiver {
  return async (id) => {
    const reason = 'The store there does not have it any more';
    throw new ChunkMissing({ subject: `${label}: chunk ${id}`, reason });
  };
}

function storeBeside(index: PeerLocator): PeerLocator {
  const word = index.kind === 'ssh' ? `${index.host}:${index.path}` : index.url;
  const store = classifyLocator(defaultStore(word));
  if (store.kind === 'path') throw new TypeError('the store is at the same place');
  return store;
}
