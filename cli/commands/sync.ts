/**
 * `sync SOURCE... DESTINATION` (spec/command-line.md, spec/images.md): brings files, devices and trees
 * to the content of others.
 */
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type SyncOptions, type SyncResult, sync as syncOne } from '../../lib/api/sync.node.ts';
import type { Context } from '../context.ts';
import { EXIT_SOURCE_INCOMPLETE } from '../exit-codes.ts';
import {
  inputOf,
  kindOfName,
  localPath,
  openInput,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
} from '../kinds.ts';
import { isOverSsh, syncOverSsh } from '../remote-sync.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { isLocalTree, syncLocalTrees } from '../tree-sync.ts';
import { workOptions } from '../work.ts';
import { syncStore } from './sync-store.ts';

/** Whoever writes this means another machine. */
const HOST_ALONE = /^[\w.@-]+:$/;

export async function sync(words: readonly string[], context: Context): Promise<void> {
  const { store, name } = context.options;
  if (store !== undefined || name !== undefined) return syncStore(words, context);
  const sources = words.slice(0, -1);
  const destination = words.at(-1);
  if (destination === undefined || sources.length === 0) {
    throw refuse('Expected one or more sources and a destination.');
  }
  for (const word of words) {
    refuseEmpty(word, 'class of locator');
    if (HOST_ALONE.test(word)) {
      throw refuse(`There is no path behind ${word} (a file of this name is ./${word}).`);
    }
  }
  if (words.some(isOverSsh)) await syncOverSsh(sources, destination, context);
  else if (sources.some(isLocalTree)) await syncLocalTrees(sources, destination, context);
  else await syncImages(sources, destination, context);
}

/** Files and devices of this machine. */
async function syncImages(
  sources: readonly string[],
  destination: string,
  context: Context,
): Promise<void> {
  if (destination === STANDARD_STREAM) throw refuse('A destination is a file or device.');
  if (kindOfName(destination) === 'blob-index') {
    throw refuse('An index as destination needs --store=; "index" makes one without a store.');
  }
  const target = localPath(destination);
  const isFolder = statSync(target, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder && sources.length > 1) {
    throw refuse('Several sources need a directory as their destination.');
  }
  if (!isFolder && destination.endsWith('/')) {
    throw refuse(`There is no directory ${destination}.`);
  }
  for (const source of sources) {
    if (isFolder && source === STANDARD_STREAM) {
      throw refuse('Standard input has no name, which a directory as destination needs.');
    }
    const path = isFolder ? join(target, basename(localPath(source))) : target;
    await syncImage(source, path, context);
  }
}

async function syncImage(source: string, destination: string, context: Context): Promise<void> {
  const result = await synchronize(() =>
    syncOne({ ...sourceOf(source), destination, ...imageOptions(context) }),
  );
  tell(source, destination, result, context);
  reportStatistics(context, 'sync', { source, destination, ...result });
  if (result.unreadableBytes === 0) return;
  context.warn(`${source}: read: ${result.unreadableBytes} bytes could not be read`);
  context.setExitCode(EXIT_SOURCE_INCOMPLETE);
}

/** A path stays one: what changes may be read again then. */
function sourceOf(word: string): Pick<SyncOptions, 'input' | 'label'> {
  if (word === STANDARD_STREAM) {
    return inputOf(openInput(word, (label) => `Failed to open ${label}`));
  }
  return { input: localPath(word), label: word };
}

/** Those that are left out have their defaults in the library. */
function imageOptions(context: Context): Omit<SyncOptions, 'input' | 'destination'> {
  const { options } = context;
  const { map, blockSize, check, dryRun, sparse, discard, forceDevice, batch, fsync } = options;
  const { verify, keep, undo, snapshot, ifSourceChanged, onReadError, noCache } = options;
  const digest = options.mapDigest;
  return {
    ...{ map, check, dryRun, sparse, discard, forceDevice, verify, snapshot },
    ...{ ifSourceChanged, onReadError, noCache },
    ...workOptions(context),
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(digest === undefined ? {} : { digest }),
    ...(options.sizePolicy === undefined ? {} : { size: options.sizePolicy }),
    ...(batch === undefined ? {} : { batch }),
    ...(fsync === undefined ? {} : { fsync }),
    ...(keep === undefined ? {} : { keep }),
    ...(undo === undefined ? {} : { undo }),
    onWarning: context.warn,
  };
}

function tell(source: string, destination: string, result: SyncResult, context: Context): void {
  const { changedBlocks, changedBytes, size, writtenBytes, holeBytes, wasMapClean } = result;
  const changed = `${changedBlocks} blocks (${sizeText(changedBytes)} of ${sizeText(size)})`;
  if (result.isDryRun) {
    const text = changedBlocks === 0 ? 'nothing would be written' : `${changed} would be written`;
    context.stdout.write(`${source} -> ${destination}: ${text}\n`);
    return;
  }
  const lines = [
    wasMapClean ? `Map: ${result.mapPath}` : 'The destination was read.',
    `Changed: ${changed}`,
    `Written: ${sizeText(writtenBytes)}, holes: ${sizeText(holeBytes)}`,
    `Read: source ${sizeText(result.sourceReadBytes)}, destination ${sizeText(result.destinationReadBytes)}`,
    `Root: ${result.root}`,
  ];
  if (result.kept !== undefined) lines.unshift(`Kept: ${result.kept}`);
  for (const line of lines) context.inform(line);
}
