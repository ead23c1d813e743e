/** `sync` of trees (spec/images.md, "Folders"). */
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SyncTreeResult, SyncTreeWorkOptions } from '../lib/api/sync-tree.node.ts';
import { syncTree } from '../lib/api/sync-tree.node.ts';
import type { SyncedTree } from '../lib/images/trees/tree-ends.node.ts';
import type { Context } from './context.ts';
import { EXIT_SOURCE_INCOMPLETE } from './exit-codes.ts';
import { localPath, refuse, STANDARD_STREAM } from './kinds.ts';
import { reportStatistics } from './report.ts';
import { sizeText } from './size-text.ts';
import { synchronize } from './synchronize.ts';
import { folderOptions } from './trees.ts';
import { workOptions } from './work.ts';

/** Whether a word names a folder of this machine. */
export function isLocalTree(word: string): boolean {
  if (word === STANDARD_STREAM) return false;
  return statSync(localPath(word), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Folders of this machine: one becomes equal to another one, or several go into one. */
export async function syncLocalTrees(
  sources: readonly string[],
  destination: string,
  context: Context,
): Promise<void> {
  if (!sources.every(isLocalTree)) throw refuse('Folders and images are not synced at once.');
  refuseUnfit(context);
  for (const source of sources) {
    const name = basename(localPath(source));
    const place = sources.length > 1 ? join(localPath(destination), name) : destination;
    await syncLocalTree(source, place, context);
  }
}

async function syncLocalTree(source: string, destination: string, context: Context): Promise<void> {
  const result: SyncTreeResult = await synchronize(() =>
    syncTree({
      ...treeOptions(context),
      source: localPath(source),
      destination: localPath(destination),
    }),
  );
  tellOfTree(destination, result, context);
  reportStatistics(context, 'sync', { source, destination, ...result });
}

/** What `sync` knows of trees. */
export function treeOptions(context: Context): SyncTreeWorkOptions {
  const { options } = context;
  const { uidShift: _, ...folder } = folderOptions(context);
  const { undoImmutable, punchHoles, reflink, dryRun, check, fsync } = options;
  return {
    ...folder,
    ...{ undoImmutable, punchHoles, reflink, dryRun, check },
    ...workOptions(context),
    delete: options.delete,
    fsync: fsync !== 'none',
  };
}

/** Options that would be without effect. @throws CasError `USAGE` */
function refuseUnfit({ options }: Context): void {
  const { map, keep, undo, blockSize, sizePolicy, verify, uidShift } = options;
  const isAny = [keep, undo, blockSize, sizePolicy].some((value) => value !== undefined);
  if (isAny || verify !== 'none' || (map !== 'auto' && map !== 'none')) {
    throw refuse(
      'Options about maps, sizes and blocks are for images, and the source is a folder.',
    );
  }
  if (uidShift.enabled) throw refuse('Owners are not shifted between folders.');
}

/** @param label the destination */
export function tellOfTree(label: string, result: SyncedTree, context: Context): void {
  const { changedCount, changedBytes, entryCount, byteCount } = result;
  const { ownBytes, movedBytes, receivedBytes, isComplete } = result;
  const changed = `${changedCount} of ${entryCount} entries`;
  const sizes = `${sizeText(changedBytes)} of ${sizeText(byteCount)}`;
  if (context.options.dryRun) {
    const text = changedCount === 0 ? 'nothing would be done' : `${changed} would be changed`;
    context.stdout.write(`${label}: ${text} (${sizes})\n`);
  }
  context.inform(`Changed: ${changed} (${sizes})`);
  context.inform(
    `Content: ${sizeText(ownBytes)} was there, ${sizeText(movedBytes)} of it only moved, ` +
      `${sizeText(receivedBytes)} came`,
  );
  if (!isComplete) context.setExitCode(EXIT_SOURCE_INCOMPLETE);
}
