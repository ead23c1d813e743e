/** `gc` of the library: removes the chunks of a store that no index needs (spec/api.md, "gc"). */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CasError, isCasError } from '../../formats/errors.ts';
import type { Lease } from '../../store/lease.ts';
import { suffixKind } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';
import { readStoreFolder } from '../maintain/store-folder.node.ts';
import { leaseForGc } from '../maintain/store-lease.node.ts';
import { type SweepEvent, type SweepResult, sweep } from '../maintain/sweep.node.ts';
import { processIdentity } from '../os/process-identity.node.ts';
import { openInput, readIndex } from './input.node.ts';
import type { StoreOptions } from './options.ts';
import { localPath, mainStore } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export type GcEvent =
  | SweepEvent
  /** All indexes have been read: how many chunks they have, and how many of them are distinct. */
  | { readonly kind: 'usage'; readonly referenceCount: number; readonly chunkCount: number }
  /** An index that was not named, but finished while gc began, and is kept complete. */
  | { readonly kind: 'kept-index'; readonly path: string };

export interface GcOptions extends WorkOptions, Pick<StoreOptions, 'store' | 'suffix'> {
  /** Paths of all indexes whose chunks shall stay; at least one. */
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
  const { indexes, dryRun = false, waitMs, signal, onWait } = options;
  const [first] = indexes;
  if (first === undefined)
    throw new PipelineError('USAGE', { reason: 'at least one index needed' });
  const folder = localPath(mainStore(options, first));
  // Mistakes are told before anybody is waited for.
  for (const path of indexes) checkReadable(path);
  readStoreFolder(folder);
  if (dryRun) return new Collection(folder, options).run();
  const lease = await leaseForGc(folder, {
    ...(signal ? { signal } : {}),
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(onWait ? { onWait } : {}),
  });
  let result: GcResult;
  try {
    result = await new Collection(folder, options, lease).run();
  } catch (error) {
    await lease.release();
    throw error;
  }
  if (await lease.release()) return result;
  const reason = 'the lease was lost before the end: chunks of new indexes may have been removed';
  throw new PipelineError('LEASE_LOST', { subject: folder, reason });
}

class Collection {
  readonly #folder: string;
  readonly #options: GcOptions;
  readonly #lease: Lease | undefined;
  readonly #live = new ChunkIdSet();
  #referenceCount = 0;

  constructor(folder: string, options: GcOptions, lease?: Lease) {
    this.#folder = folder;
    this.#options = options;
    this.#lease = lease;
  }

  async run(): Promise<GcResult> {
    const { suffix, dryRun = false, indexes, signal, onProgress, onEvent } = this.#options;
    for (const path of indexes) await this.#mark(path);
    for (const path of this.#unnamedIndexes()) {
      onEvent?.({ kind: 'kept-index', path });
      await this.#mark(path);
    }
    const usage = { referenceCount: this.#referenceCount, chunkCount: this.#live.count };
    onEvent?.({ kind: 'usage', ...usage });
    const swept = await sweep(this.#folder, this.#live, {
      suffixes: [...new Set([COMPRESSED_SUFFIX, suffix ?? COMPRESSED_SUFFIX])],
      dryRun,
      confirm: async () => this.#lease?.confirmRecent(),
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
      ...(onEvent ? { onEvent } : {}),
    });
    return { ...usage, ...swept };
  }

  async #mark(path: string): Promise<void> {
    const { signal } = this.#options;
    const opened = openIndex(path);
    try {
      const index = await readIndex(opened, signal ? { signal } : {});
      this.#referenceCount += index.count;
      this.#live.addIndex(index);
    } catch (error) {
      throw aboutIndex(path, error);
    } finally {
      opened.close();
    }
  }

  /** Those that others have finished while we waited or began, as far as they are still there. */
  #unnamedIndexes(): ReadonlySet<string> {
    const { indexes, namesReadAt } = this.#options;
    const known = new Set(indexes.map(identityOf));
    const found = new Set(this.#awaitedIndexes());
    if (namesReadAt !== undefined) {
      const folders = new Set(indexes.map((path) => dirname(path)));
      for (const folder of folders) {
        for (const path of indexesSince(folder, namesReadAt)) found.add(path);
      }
    }
    const paths = [...found].filter((path) => existsSync(path) && !known.has(identityOf(path)));
    return new Set(paths);
  }

  /** @throws CasError `LEASE_HELD` if there is an index that we do not know */
  #awaitedIndexes(): readonly string[] {
    const { fileSystem } = processIdentity();
    return (this.#lease?.awaited ?? []).map((holder) => {
      const isHere = holder !== undefined && fileSystem !== '' && holder.fileSystem === fileSystem;
      if (isHere && holder.index !== undefined) return holder.index;
      const reason = 'an index was finished meanwhile that cannot be found from here: begin again';
      throw new CasError('LEASE_HELD', { subject: this.#folder, reason, retry: 'later' });
    });
  }
}

/** Indexes that have appeared in a folder since a moment. */
function indexesSince(folder: string, moment: Date): readonly string[] {
  const names = readdirSync(folder).filter((name) =>
    suffixKind(join('/', name))?.endsWith('index'),
  );
  return names
    .map((name) => join(folder, name))
    .filter((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats?.isFile() && stats.ctimeMs >= moment.getTime();
    });
}

/** The same for all names of the same file in a folder. */
function identityOf(path: string): string {
  const folder = statSync(dirname(resolve(path)), { throwIfNoEntry: false, bigint: true });
  return `${folder?.dev} ${folder?.ino} ${basename(resolve(path))}`;
}

/** @throws CasError with {@link OPEN_INDEX} as its step */
function checkReadable(path: string): void {
  openIndex(path).close();
}

function openIndex(path: string): ReturnType<typeof openInput> {
  try {
    return openInput({ input: path });
  } catch (error) {
    throw aboutIndex(path, error);
  }
}

function aboutIndex(path: string, error: unknown): unknown {
  if (!isCasError(error) || error.code === 'ABORTED') return error;
  const { code, step, reason } = error;
  // Where in the file something is wrong matters; that it was opened or read does not.
  const isFormat = code === 'FORMAT' && step !== undefined;
  return new CasError(code, {
    subject: path,
    step: OPEN_INDEX,
    reason: isFormat ? `${step}: ${reason}` : reason,
    cause: error,
  });
}
