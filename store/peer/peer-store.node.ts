/**
 * A chunk store behind the casync protocol, over ssh. Reading is a pull. The protocol has no way to store
 * chunks that belong to no index, so writing is the push of an index that is made up for them and that
 * never appears; the other side asks for those that it lacks. Rules: spec/remote.md, "ssh and helpers".
 */

import type { ChunkId, DigestName } from '../../formats/chunk-id.ts';
import { isCasError } from '../../formats/errors.ts';
import type { SignalOption } from '../backend.ts';
import { StorageError } from '../errors.ts';
import { placeLabel } from '../location.ts';
import type {
  GetStoredOptions,
  PutStoredOptions,
  StoredChunk,
  StoredChunkSource,
  StoredChunkStore,
} from '../stored-chunk.ts';
import { ChunkPush, HeldBytes } from './chunk-push.node.ts';
import {
  type PeerLocator,
  type PeerOptions,
  peerCommand,
  processOptions,
  requireSsh,
  type SshLocator,
} from './peer-place.node.ts';
import { openPeer } from './pulled-place.node.ts';

export interface PeerStoreOptions extends PeerOptions {
  /** Of the chunks that are stored. */
  readonly digest: DigestName;
}

/** What the original says if the folder is not there that an index is stored in. */
const NO_FOLDER = 'Failed to open index file';

/**
 * Opens a store for reading and writing. Programs are started when something is asked for.
 * `has` knows what this store has just been given, and asks the other side only for reading: it answers no
 * for chunks that may be there, since the push finds that out at less cost.
 * @throws CasError `UNSUPPORTED` for URLs
 */
export function openPeerStore(locator: PeerLocator, options: PeerStoreOptions): StoredChunkStore {
  requireSsh(locator);
  return new PeerStore(locator, options);
}

class PeerStore implements StoredChunkStore {
  readonly label: string;
  readonly #locator: SshLocator;
  readonly #options: PeerStoreOptions;
  readonly #source: StoredChunkSource | undefined;
  #push: Promise<ChunkPush> | undefined;
  /** Those that are being brought to their end. */
  readonly #ending = new Map<Promise<void>, Promise<ChunkPush>>();
  readonly #held = new HeldBytes();
  #failure: unknown;
  readonly #accepted = new Set<ChunkId>();
  /** Ends all pushes, also those that wait for the other side to begin. */
  readonly #stopping = new AbortController();
  readonly #heeded = new WeakSet<AbortSignal>();

  constructor(locator: SshLocator, options: PeerStoreOptions) {
    this.#locator = locator;
    this.#options = options;
    this.label = placeLabel(locator);
    this.#source = openPeer({ stores: [locator] }, options).chunks;
  }

  has(id: ChunkId): boolean {
    return this.#accepted.has(id);
  }

  async getStored(id: ChunkId, options: GetStoredOptions): Promise<StoredChunk> {
    if (this.#source === undefined) throw new TypeError('no store');
    return this.#source.getStored(id, options);
  }

  async putStored(
    id: ChunkId,
    bytes: Uint8Array,
    { plainSize = 1, signal }: PutStoredOptions = {},
  ): Promise<'stored' | 'present'> {
    this.#heed(signal);
    this.#checkFailure();
    if (this.#accepted.has(id)) return 'present';
    this.#accepted.add(id);
    // The memory is the caller's again when this returns.
    const copy = bytes.slice();
    await this.#held.room(copy.length, () => this.#endPush());
    try {
      await this.#add(id, copy, plainSize);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
    return 'stored';
  }

  async flush({ signal }: SignalOption = {}): Promise<void> {
    this.#heed(signal);
    this.#endPush();
    while (this.#ending.size > 0) await Promise.all(this.#ending.keys());
    this.#checkFailure();
    this.#accepted.clear();
  }

  async close(): Promise<void> {
    const pushes = [this.#push, ...this.#ending.values()];
    this.#push = undefined;
    const reason = 'closed before everything was stored';
    this.#stopping.abort(new StorageError('UNAVAILABLE', { subject: this.label, reason }));
    for (const push of pushes) {
      const opened = await push?.catch(() => undefined);
      await opened?.discard();
    }
    await Promise.all(this.#ending.keys());
    await this.#source?.close();
  }

  async #add(id: ChunkId, bytes: Uint8Array, plainSize: number): Promise<void> {
    for (;;) {
      this.#checkFailure();
      this.#push ??= this.#startPush(id);
      const opening = this.#push;
      const push = await opening;
      // Another call may have ended this one meanwhile.
      if (this.#push !== opening) continue;
      const added = push.add(id, bytes, plainSize);
      if (push.isFull) this.#endPush();
      return added;
    }
  }

  /** Chunks of all callers go through the same program: who stops one of them, stops all. */
  #heed(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (signal === undefined || this.#heeded.has(signal)) return;
    this.#heeded.add(signal);
    const { signal: stopped } = this.#stopping;
    const stop = (): void => this.#stopping.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true, signal: stopped });
  }

  #checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The chunks that the push has are there when it has ended; the next one begins with the next chunk. */
  #endPush(): void {
    const push = this.#push;
    if (push === undefined) return;
    this.#push = undefined;
    const ending = push
      .then((opened) => opened.commit())
      .catch((error) => {
        this.#failure ??= error;
      })
      .finally(() => this.#ending.delete(ending));
    this.#ending.set(ending, push);
  }

  /**
   * The made-up index is given the name of a folder, so that it can never take its place: the folder in
   * the store to which the first chunk belongs; where there is no store yet, the store itself, which
   * is then made for that chunk. (Not always the store: if that is a link, it would be replaced.)
   */
  async #startPush(first: ChunkId): Promise<ChunkPush> {
    try {
      try {
        return await this.#openPush(`/${first.slice(0, 4)}`);
      } catch (error) {
        if (!isCasError(error) || !error.reason.includes(NO_FOLDER)) throw error;
        return await this.#openPush('');
      }
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  async #openPush(folder: string): Promise<ChunkPush> {
    const { kind, host } = this.#locator;
    const path = this.#locator.path.replace(/(?<=.)\/+$/, '');
    const things = { index: { kind, host, path: `${path}${folder}` }, stores: [this.#locator] };
    const push = new ChunkPush(peerCommand('push', things, this.#options), {
      ...processOptions(this.#locator, this.#options),
      digest: this.#options.digest,
      held: this.#held,
      signal: this.#stopping.signal,
    });
    await push.opened();
    return push;
  }
}
