/** `syncTree` of the library: a folder becomes equal to another one (spec/api.md, "syncTree"). */
import { FEATURE } from '../../formats/feature-flags.ts';
import { type SyncedTree, syncTreeHere, type TreeWork } from '../images/trees/tree-ends.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { checkClonePlaces } from './clone-places.node.ts';
import { folderFlags } from './folder.node.ts';
import type { FolderOptions } from './options.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

/** How trees are synced, on one machine and with another one. */
export interface SyncTreeWorkOptions extends Omit<FolderOptions, 'uidShift'>, WorkOptions {
  /** Remove what the destination holds besides; default true. */
  readonly delete?: boolean;
  /** Clear the chattr flag of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave holes where there are zeros; default true. */
  readonly punchHoles?: boolean;
  /** Share blocks where the file system can; default true. */
  readonly reflink?: boolean;
  /** Compare all contents, also of files whose sizes and times are equal; default false. */
  readonly check?: boolean;
  /** Find out what would be done, and do nothing. */
  readonly dryRun?: boolean;
  /** Wait until the result is on disk; default true. */
  readonly fsync?: boolean;
}

export interface SyncTreeOptions extends SyncTreeWorkOptions {
  /** Path of the folder that is read. */
  readonly source: string;
  /** Path of the folder that is made, or made equal. */
  readonly destination: string;
}

export interface SyncTreeResult extends SyncedTree {
  readonly totalMs: number;
}

/**
 * Makes a folder equal to another one on this machine. Files of equal size, time and attributes are not
 * read; content that the destination has at another place is taken from there.
 * @throws CasError `USAGE` if one folder is in the other, `ABORTED`, and what reading and writing throw
 */
export async function syncTree(options: SyncTreeOptions): Promise<SyncTreeResult> {
  const started = performance.now();
  const source = localPath(options.source);
  const destination = localPath(options.destination);
  checkClonePlaces(source, destination);
  const result = await syncTreeHere(source, destination, treeWork(options));
  return { ...result, totalMs: performance.now() - started };
}

export function treeWork(options: SyncTreeWorkOptions): TreeWork {
  const { onProgress, check, threadCount = defaultThreadCount(), ...more } = options;
  const { delete: deletes, undoImmutable, punchHoles, reflink, dryRun, fsync } = more;
  const { onIncomplete, onUnavailable, signal } = more;
  return {
    featureFlags: flagsOf(options),
    threadCount,
    ...(deletes === undefined ? {} : { delete: deletes }),
    ...(undoImmutable === undefined ? {} : { undoImmutable }),
    ...(punchHoles === undefined ? {} : { punchHoles }),
    ...(reflink === undefined ? {} : { reflink }),
    ...(check === undefined ? {} : { checks: check }),
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(fsync === undefined ? {} : { fsync }),
    ...(onIncomplete ? { onIncomplete } : {}),
    ...(onUnavailable ? { onUnavailable } : {}),
    ...(signal ? { signal } : {}),
    ...(onProgress
      ? { onContent: (done, total) => onProgress(progressOf('sync', done, total)) }
      : {}),
  };
}

/** Owners are numbers, as with `clone`, unless names are all there is. */
function flagsOf(options: SyncTreeWorkOptions): bigint {
  const flags = folderFlags(options);
  const hasNumbers = (flags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n;
  return hasNumbers ? flags & ~FEATURE.userNames : flags;
}
