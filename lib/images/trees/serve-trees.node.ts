/** The far end of a session, as far as trees are concerned (spec/formats/tree-session.md, "Opening"). */
import { statSync } from 'node:fs';
import { readU64 } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import { checkFlags, FEATURE } from '../../../formats/feature-flags.ts';
import {
  decodeLook,
  decodePullTree,
  decodePushTree,
  encodeFound,
} from '../../../formats/tree-open.ts';
import { TREE_KIND } from '../../../formats/tree-session.ts';
import { defaultThreadCount, openJobPool } from '../../work/job-pool.node.ts';
import { unattended } from '../../work/unattended.ts';
import type { SessionConnection, SessionMessage } from '../session/connection.ts';
import { farPath } from '../session/far-path.node.ts';
import type { SessionService } from '../session/serve-session.node.ts';
import { receiveTree } from './receive-tree.node.ts';
import { sendTree } from './send-tree.node.ts';

/** @param options.signal ends the work */
export function treeServices({
  signal,
}: {
  readonly signal?: AbortSignal | undefined;
}): readonly (readonly [number, SessionService])[] {
  const warn = (connection: SessionConnection) => (label: string, reason: string) =>
    void unattended(connection.warn(`${label}: ${reason}`));

  const push: SessionService = async (connection, { content }) => {
    const asked = decodePushTree(content);
    const pool = openJobPool({}, defaultThreadCount());
    try {
      await receiveTree(connection, {
        target: farPath(asked.path),
        delete: !asked.keepsExtra,
        undoImmutable: asked.undoesImmutable,
        dryRun: asked.isDryRun,
        checks: asked.checks,
        punchHoles: !asked.keepsZeros,
        reflink: !asked.avoidsReflinks,
        fsync: !asked.avoidsSync,
        pool,
        onIncomplete: warn(connection),
        signal,
      });
    } finally {
      await pool.close();
    }
  };

  const pull: SessionService = async (connection, { content }) => {
    const { path, featureFlags: bytes } = decodePullTree(content);
    const featureFlags = readU64(bytes, 0);
    checkFlags(featureFlags, (reason) => new FormatError('session', 'PULL_TREE', 0, reason));
    await sendTree(connection, {
      source: farPath(path),
      featureFlags,
      applyExcludeFiles: (featureFlags & FEATURE.excludeFile) !== 0n,
      onIncomplete: warn(connection),
      ...(signal ? { signal } : {}),
    });
  };

  const look = async (connection: SessionConnection, { content }: SessionMessage) => {
    const stats = statSync(farPath(decodeLook(content)), { throwIfNoEntry: false });
    const other = stats?.isDirectory() ? 'directory' : 'other';
    await connection.send(TREE_KIND.found, encodeFound(stats === undefined ? 'nothing' : other));
  };

  return [
    [TREE_KIND.push, push],
    [TREE_KIND.pull, pull],
    [TREE_KIND.look, look],
  ];
}
