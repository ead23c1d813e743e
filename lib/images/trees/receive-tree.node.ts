/**
 * The side of a tree session that becomes equal: compares what it has with what the other side lists,
 * takes what it has from itself, asks for the rest, and says when all is on disk
 * (spec/formats/tree-session.md, "The receiving side").
 */
import { closeSync, mkdirSync, type Stats, statSync } from 'node:fs';
import { equalBytes } from '../../../formats/bytes.ts';
import {
  decodeRoot,
  encodeDone,
  NO_COUNTS,
  TREE_KIND,
  type TreeCounts,
  type TreeRoot,
} from '../../../formats/tree-session.ts';
import { PipelineError } from '../../errors.ts';
import { syncFileSystemOf } from '../../os/file-system.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { JobPool } from '../../work/jobs.node.ts';
import { findChanges, type TreeChanges } from './changes.node.ts';
import { type ContentPlaces, findContent, inOrder } from './find-content.node.ts';
import { listTree, type TreeListing } from './listing.node.ts';
import { expect, type TreeConnection } from './messages.ts';
import { planTree, type TreePlan } from './plan.node.ts';
import { TreeRestorer } from './restore-tree.node.ts';
import { openTarget } from './staging.node.ts';

/** Fewer entries than this are not worth a thread. */
const WORTH_THREADS = 2000;

export interface ReceiveTreeOptions {
  /** Path of the folder; it is made if nothing is there, and its parent is. */
  readonly target: string;
  /** Remove what the target holds besides; default true. */
  readonly delete?: boolean;
  /** Clear the chattr flag of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave holes where there are zeros; default true. */
  readonly punchHoles?: boolean;
  /** Share blocks where the file system can; default true. */
  readonly reflink?: boolean;
  /** Compare all contents, also of files whose sizes and times are equal; default false. */
  readonly checks?: boolean;
  /** Only find out what would be done; default false. */
  readonly dryRun?: boolean;
  /** Wait until all is on disk; default true. */
  readonly fsync?: boolean;
  /**
   * Opens a file of the source by its path, where that is on this machine, too: its content is not
   * asked for then. Whoever gets the descriptor closes it with `closeEntry`.
   */
  readonly openSource?: (path: Uint8Array) => number;
  /** Threads that restore entries, if there are many of them. */
  readonly pool?: JobPool;
  /** Told of files that could not be had. */
  readonly onIncomplete?: (label: string, reason: string) => void;
  /** Told how many bytes of how many that differ are done. */
  readonly onContent?: (doneBytes: number, totalBytes: number | undefined) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ReceivedTree {
  /** False if some files could not be had. */
  readonly isComplete: boolean;
  readonly statistics: ReceivedTreeStatistics;
}

export interface ReceivedTreeStatistics extends TreeCounts {
  /** Entries of all kinds, and the bytes of all files. */
  readonly entryCount: number;
  readonly byteCount: number;
}

/** @throws PipelineError, FormatError, and what the connection throws */
export async function receiveTree(
  connection: TreeConnection,
  options: ReceiveTreeOptions,
): Promise<ReceivedTree> {
  const { content } = await expect(connection, TREE_KIND.root, 'ROOT');
  const root = decodeRoot(content);
  const existing = lookAt(options.target);
  const isNew = existing === undefined;
  if (isNew && options.dryRun === true) return receiveNothing(connection, root);
  if (isNew) makeTarget(options.target);
  const descriptor = openFolder(options.target);
  try {
    const receiver = new TreeReceiver(connection, root, descriptor, options);
    return await receiver.run();
  } finally {
    closeSync(descriptor);
  }
}

/** @throws PipelineError `USAGE` if it is no folder */
function lookAt(target: string): Stats | undefined {
  const stats = statSync(target, { throwIfNoEntry: false });
  if (stats === undefined || stats.isDirectory()) return stats;
  const reason = 'the source is a directory, and this is none';
  throw new PipelineError('USAGE', { subject: target, reason });
}

function makeTarget(target: string): void {
  try {
    mkdirSync(target, { mode: 0o700 });
  } catch (error) {
    throw systemFailure('create directory', error, target);
  }
}

function openFolder(target: string): number {
  try {
    return openTarget(target);
  } catch (error) {
    throw systemFailure('open directory', error, target);
  }
}

/** All of the tree would come. */
async function receiveNothing(connection: TreeConnection, root: TreeRoot): Promise<ReceivedTree> {
  const { entryCount, byteCount, isComplete } = root;
  const bytes = { changedBytes: byteCount, receivedBytes: byteCount };
  const counts = { ...NO_COUNTS, changedCount: entryCount, ...bytes };
  const done = encodeDone({ root: root.digest, isComplete, counts });
  await connection.send(TREE_KIND.done, done);
  return { isComplete, statistics: { entryCount, byteCount, ...counts } };
}

class TreeReceiver {
  readonly #connection: TreeConnection;
  readonly #root: TreeRoot;
  readonly #descriptor: number;
  readonly #options: ReceiveTreeOptions;
  #isComplete = true;

  constructor(
    connection: TreeConnection,
    root: TreeRoot,
    descriptor: number,
    options: ReceiveTreeOptions,
  ) {
    this.#connection = connection;
    this.#root = root;
    this.#descriptor = descriptor;
    this.#options = options;
  }

  async run(): Promise<ReceivedTree> {
    const { checks = false, delete: deletesExtra = true } = this.#options;
    const own = await this.#list();
    if (!checks && equalBytes(own.digest, this.#root.digest)) {
      return this.#done(NO_COUNTS);
    }
    const plan = await planTree(this.#connection, this.#root, own);
    const changes = findChanges(plan, own.root, { deletesExtra, checks });
    const { sets, directories } = plan.wanted;
    const order = inOrder(
      directories[0],
      changes,
      ({ attributes }) => sets.nodeOf(attributes).type === 'directory',
    );
    const places = await findContent(this.#connection, order, {
      root: this.#descriptor,
      own,
      ownOf: plan.ownOf,
      signal: this.#options.signal,
    });
    const changedBytes = order.reduce((sum, { entry }) => sum + entry.size, 0);
    const counts = { ...NO_COUNTS, changedCount: order.length, changedBytes };
    if (changes.unchanged.has(directories[0])) return this.#done(counts);
    if (this.#options.dryRun) return this.#done({ ...counts, ...expected(order, places) });
    const restored = await this.#restore(plan, changes, places, changedBytes, order);
    if (this.#options.fsync ?? true) await syncFileSystemOf(this.#options.target);
    return this.#done({ ...counts, ...restored });
  }

  #list(): Promise<TreeListing> {
    const { target, signal } = this.#options;
    return listTree(this.#descriptor, {
      label: target,
      featureFlags: this.#root.featureFlags,
      applyExcludeFiles: false,
      omitsStaging: false,
      ...(signal ? { signal } : {}),
    });
  }

  async #restore(
    plan: TreePlan,
    changes: TreeChanges,
    places: ContentPlaces,
    totalBytes: number,
    order: Parameters<TreeRestorer['run']>[0],
  ) {
    const { target, pool, undoImmutable = false, punchHoles = true, signal } = this.#options;
    const { reflink = true, onContent, openSource } = this.#options;
    if (order.length >= WORTH_THREADS) pool?.start();
    let doneBytes = 0;
    const restorer = new TreeRestorer(this.#connection, plan, changes, places, {
      target,
      root: this.#descriptor,
      salt: this.#root.salt,
      reflink,
      openSource,
      tree: {
        replayFlags: this.#root.featureFlags,
        deleteExtra: this.#options.delete ?? true,
        undoImmutable,
        punchHoles,
        ...(pool ? { run: (input) => pool.run('restoreEntries', input) } : {}),
      },
      onIncomplete: (label, reason) => {
        this.#isComplete = false;
        this.#options.onIncomplete?.(label, reason);
      },
      onContent: (byteCount) => {
        doneBytes += byteCount;
        onContent?.(doneBytes, totalBytes);
      },
      signal,
    });
    return restorer.run(order);
  }

  async #done(counts: TreeCounts): Promise<ReceivedTree> {
    const { digest: root, entryCount, byteCount } = this.#root;
    const isComplete = this.#isComplete && this.#root.isComplete;
    await this.#connection.send(TREE_KIND.done, encodeDone({ root, isComplete, counts }));
    return { isComplete, statistics: { entryCount, byteCount, ...counts } };
  }
}

/** What would come, and what would not have to. */
function expected(order: Parameters<TreeRestorer['run']>[0], places: ContentPlaces) {
  let [ownBytes, receivedBytes] = [0, 0];
  for (const { number, entry } of order) {
    const place = places.get(number);
    if (place?.kind === 'other side') receivedBytes += entry.size;
    else if (place !== undefined && place.kind !== 'unavailable') ownBytes += entry.size;
  }
  return { ownBytes, receivedBytes };
}
