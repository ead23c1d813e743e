/**
 * Trees at the near end of a session, and both ends on one machine (spec/formats/tree-session.md,
 * "Opening").
 */
import { closeSync, constants, openSync } from 'node:fs';
import { writeU64 } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import {
  decodeFound,
  encodeLook,
  encodePullTree,
  encodePushTree,
  type Found,
} from '../../../formats/tree-open.ts';
import { TREE_KIND, type TreeCounts } from '../../../formats/tree-session.ts';
import { openBelow } from '../../os/open.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { openJobPool } from '../../work/job-pool.node.ts';
import type { SessionConnection } from '../session/connection.ts';
import { memoryPair } from './memory-pair.ts';
import { type ReceiveTreeOptions, receiveTree } from './receive-tree.node.ts';
import { type SendTreeOptions, sendTree } from './send-tree.node.ts';

/** How one tree becomes another, wherever they are. */
export interface TreeWork
  extends Omit<ReceiveTreeOptions, 'openSource' | 'pool' | 'target'>,
    Pick<SendTreeOptions, 'featureFlags' | 'onUnavailable'> {
  /** Threads besides the caller's. */
  readonly threadCount: number;
}

/** What has become of a tree. */
export interface SyncedTree extends TreeCounts {
  /** False if something of the source could not be had. */
  readonly isComplete: boolean;
  /** Entries of all kinds, and the bytes of all files. */
  readonly entryCount: number;
  readonly byteCount: number;
}

/** What is at a path there. */
export async function lookThere(connection: SessionConnection, path: string): Promise<Found> {
  await connection.send(TREE_KIND.look, encodeLook(utf8(path)));
  const message = await connection.receive();
  if (message?.kind === TREE_KIND.found) return decodeFound(message.content);
  throw new FormatError('session', 'FOUND', 0, 'expected this message');
}

/** @param path the folder there. @throws what `sendTree` throws */
export async function pushTree(
  connection: SessionConnection,
  source: string,
  path: string,
  work: TreeWork,
): Promise<SyncedTree> {
  const opening = encodePushTree({
    path: utf8(path),
    keepsExtra: work.delete === false,
    undoesImmutable: work.undoImmutable === true,
    isDryRun: work.dryRun === true,
    checks: work.checks === true,
    keepsZeros: work.punchHoles === false,
    avoidsReflinks: work.reflink === false,
    avoidsSync: work.fsync === false,
  });
  await connection.send(TREE_KIND.push, opening);
  let doneBytes = 0;
  const { counts, ...sent } = await sendTree(connection, {
    ...sending(source, work),
    onSent: (byteCount) => {
      doneBytes += byteCount;
      work.onContent?.(doneBytes, undefined);
    },
  });
  return { ...sent, ...counts };
}

/** @param path the folder there. @throws what `receiveTree` throws */
export async function pullTree(
  connection: SessionConnection,
  path: string,
  target: string,
  work: TreeWork,
): Promise<SyncedTree> {
  const featureFlags = new Uint8Array(8);
  writeU64(featureFlags, 0, work.featureFlags);
  await connection.send(TREE_KIND.pull, encodePullTree({ path: utf8(path), featureFlags }));
  const pool = openJobPool({}, work.threadCount);
  try {
    const { isComplete, statistics } = await receiveTree(connection, { ...work, target, pool });
    return { isComplete, ...statistics };
  } finally {
    await pool.close();
  }
}

/** Both folders are on this machine: content is copied directly, or its blocks shared. */
export async function syncTreeHere(
  source: string,
  target: string,
  work: TreeWork,
): Promise<SyncedTree> {
  const pool = openJobPool({}, work.threadCount);
  const root = openFolder(source);
  const [near, far, cut] = memoryPair();
  try {
    const sent = sendTree(near, sending(source, work));
    const received = receiveTree(far, {
      ...work,
      target,
      pool,
      openSource: (path) => openBelow(root, path),
    });
    sent.catch(cut);
    received.catch(cut);
    const [first, second] = await Promise.allSettled([sent, received]);
    if (first.status === 'rejected') throw first.reason;
    if (second.status === 'rejected') throw second.reason;
    const isComplete = first.value.isComplete && second.value.isComplete;
    return { ...second.value.statistics, isComplete };
  } finally {
    closeSync(root);
    await pool.close();
  }
}

function sending(source: string, work: TreeWork): SendTreeOptions {
  const { featureFlags, onIncomplete, onUnavailable, signal } = work;
  return {
    source,
    featureFlags,
    applyExcludeFiles: (featureFlags & FEATURE.excludeFile) !== 0n,
    ...(onIncomplete ? { onIncomplete } : {}),
    ...(onUnavailable ? { onUnavailable } : {}),
    ...(signal ? { signal } : {}),
  };
}

function openFolder(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
