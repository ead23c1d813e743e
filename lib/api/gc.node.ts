/** `gc` of the library: removes the chunks of a store that no index needs (spec/api.md, "gc"). */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CasError, isCasError } from '../../formats/errors.ts';
import type { Lease } from '../../store/lease.ts';
import { redacted, suffixKind } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';
import { chainNames } from '../images/chain/chain-folder.node.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';
import { type GcStore, openGcStore } from '../maintain/gc-store.node.ts';
import type { SweepEvent, SweepResult } from '../maintain/sweep.node.ts';
import { processIdentity } from '../os/process-identity.node.ts';
import { openRemoteBackend } from '../stores/remote-store.node.ts';
import { isRemote, type StoreDescription } from '../stores/store-description.ts';
import { openInput, readIndex } from './input.node.ts';
import type { PlaceOptions, StoreOptions } from './options.ts';
import { describeStoreForWriting, localPath, remotePlace } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export type GcEvent =
  | SweepEvent
  /** All indexes have been read: how many chunks they have, and how many of them are distinct. */
  | { readonly kind: 'usage'; readonly referenceCount: number; readonly chunkCount: number }
  /** An index that was not named, but finished while gc began, and is kept complete. */
  | { readonly kind: 'kept-index'; readonly path: string };

export interface GcOptions
  extends WorkOptions,
    PlaceOptions,
    Pick<StoreOptions, 'store' | 'suffix'> {
  /**
   * Locators of all indexes whose chunks shall stay, besides those of versions in chains of the store; at
   * least one if it has none. Without any, chunks outside of packs stay. One of a place elsewhere that ends
   * with a slash means all indexes directly in that folder, as they are when nobody makes any.
   */
  readonly indexes: readonly string[];
  /** Only say what would be removed. Takes no lease: what others do meanwhile is not seen. */
  readonly dryRun?: boolean;
  /**
   * When the names of the indexes were collected, if not just now: indexes beside them that have been
   * finished since then are kept complete, too.
   */
  readonly namesReadAt?: Date;
  /** How long makes that run are waited for, in milliseconds; default one minute. */
  readonly waitMs?: number;
  /** Told of everything that is removed, before it is; and of what stays for another reason. */
  readonly onEvent?: (event: GcEvent) => void;
}

export interface GcResult extends SweepResult {
  /** Chunks of all indexes, repeated ones counted again. */
  readonly referenceCount: number;
  /** Distinct chunks of all indexes. */
  readonly chunkCount: number;
}

/** Said in errors of indexes that cannot be read. */
export const OPEN_INDEX = 'open index';
const COMPRESSED_SUFFIX = '.cacnk';

/**
 * Removes all compressed chunks that none of the indexes needs. All indexes are read before anything is
 * removed. Indexes that are being made in the same store are waited for, and kept.
 * @throws CasError about an index, with {@link OPEN_INDEX} as its step; `STORE_MISSING`; `LEASE_HELD` if
 * makes did not end in time; `LEASE_LOST` if somebody has taken the store over; StorageError; `ABORTED`
 */
export async function gc(options: GcOptions): Promise<GcResult> {
  const { indexes, dryRun = false } = options;
  const [first] = indexes;
  // Mistakes are told before anybody is waited for.
  for (const locator of indexes) await checkReadable(locator, options);
  // Chunks are told apart by their names, whatever their digest.
  const description = describeStoreForWriting(options, first, 'sha256');
  if (first === undefined && !hasVersions(description)) {
    throw new PipelineError('USAGE', { reason: 'at least one index needed' });
  }
  const store = await openGcStore(description, options.signal);
  try {
    if (dryRun) return await new Collection(store, options).run();
    return await collectUnderLease(store, options);
  } finally {
    await store.close();
  }
}

/** Whether something is known of what shall stay although nobody has named an index. */
function hasVersions(description: StoreDescription): boolean {
  return !isRemote(description) && chainNames(description.folder).length > 0;
}

async function collectUnderLease(store: GcStore, options: GcOptions): Promise<GcResult> {
  const { waitMs, signal, onWait } = options;
  const lease = await store.lease({
    ...(signal ? { signal } : {}),
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(onWait ? { onWait } : {}),
  });
  let result: GcResult;
  try {
    result = await new Collection(store, options, lease).run();
  } catch (error) {
    await lease.release();
    throw error;
  }
  if (await lease.release()) return result;
  const reason = 'the lease was lost before the end: chunks of new indexes may have been removed';
  throw new PipelineError('LEASE_LOST', { subject: store.label, reason });
}

class Collection {
  readonly #store: GcStore;
  readonly #options: GcOptions;
  readonly #lease: Lease | undefined;
  readonly #live = new ChunkIdSet();
  #referenceCount = 0;

  constructor(store: GcStore, options: GcOptions, lease?: Lease) {
    this.#store = store;
    this.#options = options;
    this.#lease = lease;
  }

  async run(): Promise<GcResult> {
    const { suffix, dryRun = false, signal, onProgress, onEvent } = this.#options;
    const named = await namedIndexes(this.#options);
    for (const locator of named) await this.#mark(locator);
    for (const locator of await this.#unnamedIndexes(named)) {
      onEvent?.({ kind: 'kept-index', path: locator });
      await this.#mark(locator);
    }
    const { referenceCount } = await this.#store.markVersions(this.#live);
    this.#referenceCount += referenceCount;
    const usage = { referenceCount: this.#referenceCount, chunkCount: this.#live.count };
    onEvent?.({ kind: 'usage', ...usage });
    const swept = await this.#store.sweep(this.#live, {
      suffixes: [...new Set([COMPRESSED_SUFFIX, suffix ?? COMPRESSED_SUFFIX])],
      onlyPacked: this.#options.indexes.length === 0,
      dryRun,
      confirm: async () => this.#lease?.confirmRecent(),
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
      ...(onEvent ? { onEvent } : {}),
    });
    return { ...usage, ...swept };
  }

  async #mark(locator: string): Promise<void> {
    const { signal } = this.#options;
    const opened = openIndex(locator, this.#options);
    try {
      const index = await readIndex(opened, signal ? { signal } : {});
      this.#referenceCount += index.count;
      this.#live.addIndex(index);
    } catch (error) {
      throw aboutIndex(locator, error);
    } finally {
      opened.close();
    }
  }

  /** Those that others have finished while we waited or began, as far as they are still there. */
  async #unnamedIndexes(indexes: readonly string[]): Promise<ReadonlySet<string>> {
    const { namesReadAt } = this.#options;
    const known = new Set(indexes.map(identityOf));
    const found = new Set(await this.#awaitedIndexes());
    if (namesReadAt !== undefined) {
      const paths = indexes.filter((locator) => remotePlace(locator) === undefined).map(localPath);
      for (const folder of new Set(paths.map((path) => dirname(path)))) {
        for (const path of indexesSince(folder, namesReadAt)) found.add(path);
      }
    }
    return new Set([...found].filter((locator) => !known.has(identityOf(locator))));
  }

  /** @throws CasError `LEASE_HELD` if there is an index that we do not know */
  async #awaitedIndexes(): Promise<readonly string[]> {
    const { fileSystem } = processIdentity();
    const found: string[] = [];
    for (const holder of this.#lease?.awaited ?? []) {
      const index = holder?.index;
      const isElsewhere = index !== undefined && remotePlace(index) !== undefined;
      const isHere = fileSystem !== '' && holder?.fileSystem === fileSystem;
      if (index === undefined || (!isElsewhere && !isHere)) throw this.#unknownIndex();
      if (isElsewhere) await this.#assertReachable(index);
      if (isElsewhere || existsSync(index)) found.push(index);
    }
    return found;
  }

  /** Not there may mean: given up; or that the same words mean another place to us. */
  async #assertReachable(locator: string): Promise<void> {
    try {
      await checkReadable(locator, this.#options);
    } catch (error) {
      throw isCasError(error) && error.code !== 'ABORTED' ? this.#unknownIndex(error) : error;
    }
  }

  #unknownIndex(cause?: unknown): CasError {
    const reason = 'an index was finished meanwhile that cannot be found from here: begin again';
    return new CasError('LEASE_HELD', {
      subject: this.#store.label,
      reason,
      retry: 'later',
      cause,
    });
  }
}

function isRemoteFolder(locator: string): boolean {
  return locator.endsWith('/') && remotePlace(locator) !== undefined;
}

/** All indexes that shall stay; those of folders elsewhere are looked for now. */
async function namedIndexes(options: GcOptions): Promise<readonly string[]> {
  const named: string[] = [];
  for (const locator of options.indexes) {
    if (isRemoteFolder(locator)) named.push(...(await indexesIn(locator, options)));
    else named.push(locator);
  }
  return named;
}

/** @throws CasError with {@link OPEN_INDEX} as its step; a folder without an index is a mistake */
async function indexesIn(folder: string, options: GcOptions): Promise<readonly string[]> {
  const { signal } = options;
  const description = describeStoreForWriting({ ...options, store: folder }, undefined, 'sha256');
  const backend = isRemote(description) ? await openRemoteBackend(description) : undefined;
  const found: string[] = [];
  try {
    if (!backend?.can.list) {
      throw new CasError('UNSUPPORTED', { reason: 'The folder cannot be listed.' });
    }
    for await (const { key } of backend.list('', signal ? { signal } : {})) {
      const isIndex = suffixKind(key)?.endsWith('index') === true;
      if (isIndex && !key.includes('/')) found.push(folder + key);
    }
    if (found.length > 0) return found;
    throw new CasError('INDEX_MISSING', { reason: 'There is no index in the folder.' });
  } catch (error) {
    throw aboutIndex(folder, error);
  } finally {
    await backend?.close();
  }
}

/**
 * How much earlier the date of a file may be than what happened: the kernel dates files by a clock that
 * goes on in ticks of up to 10 ms, and the moment itself comes from others of that kind.
 */
const DATES_LAG_MS = 20;

/** Indexes that have appeared in a folder since a moment. */
function indexesSince(folder: string, moment: Date): readonly string[] {
  const names = readdirSync(folder).filter((name) =>
    suffixKind(join('/', name))?.endsWith('index'),
  );
  return names
    .map((name) => join(folder, name))
    .filter((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats?.isFile() && stats.ctimeMs >= moment.getTime() - DATES_LAG_MS;
    });
}

/** The same for all names of the same file in a folder. */
function identityOf(locator: string): string {
  if (remotePlace(locator) !== undefined) return redacted(locator);
  const path = resolve(localPath(locator));
  const folder = statSync(dirname(path), { throwIfNoEntry: false, bigint: true });
  return `${folder?.dev} ${folder?.ino} ${basename(path)}`;
}

/** @throws CasError with {@link OPEN_INDEX} as its step */
async function checkReadable(locator: string, options: GcOptions): Promise<void> {
  const { signal } = options;
  if (isRemoteFolder(locator)) {
    await indexesIn(locator, options);
    return;
  }
  const opened = openIndex(locator, options);
  try {
    if (opened.form === 'remote') await opened.file.stat(signal ? { signal } : {});
  } catch (error) {
    throw aboutIndex(locator, error);
  } finally {
    opened.close();
  }
}

function openIndex(input: string, options: GcOptions): ReturnType<typeof openInput> {
  const { settingsFor } = options;
  try {
    return openInput({ input, ...(settingsFor ? { settingsFor } : {}) });
  } catch (error) {
    throw aboutIndex(input, error);
  }
}

function aboutIndex(locator: string, error: unknown): unknown {
  if (!isCasError(error) || error.code === 'ABORTED') return error;
  const { step, reason } = error;
  const code = error.code === 'OBJECT_MISSING' ? 'INDEX_MISSING' : error.code;
  // Where in the file something is wrong matters; that it was opened or read does not.
  const isFormat = code === 'FORMAT' && step !== undefined;
  return new CasError(code, {
    subject: redacted(locator),
    step: OPEN_INDEX,
    reason: isFormat ? `${step}: ${reason}` : reason,
    cause: error,
  });
}
