/** Tree sessions between two folders in one process, over a real connection. */
import { ALL_FEATURES, FEATURE, selectFlags } from '../../formats/feature-flags.ts';
import type { TreeConnection } from '../../lib/images/trees/messages.ts';
import {
  type ReceivedTree,
  type ReceiveTreeOptions,
  receiveTree,
} from '../../lib/images/trees/receive-tree.node.ts';
import { type SentTree, sendTree } from '../../lib/images/trees/send-tree.node.ts';
import { type SessionPair, sessionPair } from './session-pair.ts';

/** What a tree session carries unless it is told otherwise. */
export const TREE_FEATURES = selectFlags({
  with: 0n,
  without: FEATURE.userNames,
  defaultWith: ALL_FEATURES,
  excludeNodump: true,
  excludeSubmounts: false,
  excludeFile: true,
  digest: 'sha256',
});

export interface TreeSession {
  readonly sent: SentTree;
  readonly received: ReceivedTree;
  /** Bytes on the wire, both ways. */
  readonly wireBytes: number;
}

export interface TreeSessionOptions extends Partial<ReceiveTreeOptions> {
  /** What the ends become before they are used. */
  readonly sender?: (connection: TreeConnection, pair: SessionPair) => TreeConnection;
  readonly receiver?: (connection: TreeConnection, pair: SessionPair) => TreeConnection;
  readonly onIncomplete?: (label: string, reason: string) => void;
}

/** Makes `target` what `source` is. Fails with what the receiving side fails with. */
export async function syncTrees(
  source: string,
  target: string,
  options: TreeSessionOptions = {},
): Promise<TreeSession> {
  const pair = sessionPair();
  const { sender, receiver, onIncomplete = fail, ...more } = options;
  const near = sender?.(pair.near, pair) ?? pair.near;
  const far = receiver?.(pair.far, pair) ?? pair.far;
  const ends = [
    sendTree(near, { source, featureFlags: TREE_FEATURES, applyExcludeFiles: true, onIncomplete }),
    receiveTree(far, { target, fsync: false, ...more, onIncomplete }),
  ] as const;
  for (const end of ends) end.catch(() => pair.there.destroy());
  for (const end of ends) end.catch(() => pair.back.destroy());
  const [sent, received] = await Promise.allSettled(ends);
  if (received.status === 'rejected') throw received.reason;
  if (sent.status === 'rejected') throw sent.reason;
  const wireBytes = pair.near.sentBytes + pair.near.receivedBytes;
  pair.near.destroy();
  pair.far.destroy();
  return { sent: sent.value, received: received.value, wireBytes };
}

function fail(label: string, reason: string): never {
  throw new Error(`${label}: ${reason}`);
}
