/** `sync` where one side is on another machine (spec/images.md, "Other machines"). */
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type {
  PulledImage,
  PushedImage,
  SyncedRemoteImage,
  SyncRemoteOptions,
} from '../lib/api/sync-remote.node.ts';
import { syncRemote } from '../lib/api/sync-remote.node.ts';
import { classifyLocator } from '../store/location.ts';
import type { Context } from './context.ts';
import { EXIT_SOURCE_INCOMPLETE } from './exit-codes.ts';
import { inputOf, localPath, openInput, refuse, STANDARD_STREAM } from './kinds.ts';
import { reportStatistics } from './report.ts';
import { sizeText } from './size-text.ts';
import { synchronize } from './synchronize.ts';
import { tellOfTree, treeOptions } from './tree-sync.ts';
import { workOptions } from './work.ts';

/** What the level of zstd is, which is not to be chosen yet. */
const LEVEL = 3;

interface Ends {
  readonly host: string;
  readonly push?: readonly PushedImage[];
  readonly pull?: readonly PulledImage[];
}

/** Whether a word names a place on another machine that ssh leads to. */
export function isOverSsh(word: string): boolean {
  return word !== STANDARD_STREAM && classifyLocator(word).kind === 'ssh';
}

/** Images to or from one other machine. @throws CasError */
export async function syncOverSsh(
  sources: readonly string[],
  destination: string,
  context: Context,
): Promise<void> {
  refuseUnfit(context);
  const ends = isOverSsh(destination) ? pushes(sources, destination) : pulls(sources, destination);
  const result = await synchronize(() => syncRemote({ ...ends, ...imageOptions(context, ends) }));
  for (const image of result.images) tell(image, context);
  for (const tree of result.trees) tellOfTree(tree.path, tree, context);
  const { sentBytes, receivedBytes } = result;
  context.inform(`On the wire: ${sizeText(sentBytes)} sent, ${sizeText(receivedBytes)} received`);
  reportStatistics(context, 'sync', { host: ends.host, ...result });
}

function pushes(sources: readonly string[], destination: string): Ends {
  const { host, path } = sshPlace(destination);
  if (sources.length > 1 && !path.endsWith('/')) {
    throw refuse('Several sources need a directory as their destination, with a slash at its end.');
  }
  const push = sources.map((word): PushedImage => {
    if (word === STANDARD_STREAM) {
      return { ...inputOf(openInput(word, (label) => `Failed to open ${label}`)), path };
    }
    if (isOverSsh(word)) throw refuse('One side of sync must be on this machine.');
    const name = basename(localPath(word));
    const tree = sources.length > 1 ? { treePath: `${path}${name}` } : {};
    return { input: localPath(word), label: word, path, name, ...tree };
  });
  return { host, push };
}

function pulls(sources: readonly string[], destination: string): Ends {
  if (destination === STANDARD_STREAM) throw refuse('A destination is a file or device.');
  const target = localPath(destination);
  const isFolder = statSync(target, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder && destination.endsWith('/')) throw refuse(`There is no directory ${destination}.`);
  if (!isFolder && sources.length > 1) {
    throw refuse('Several sources need a directory as their destination.');
  }
  const places = sources.map((word) => {
    if (isOverSsh(word)) return sshPlace(word);
    throw refuse('All sources must be on this machine, or all on one other.');
  });
  const [{ host }] = places;
  if (places.some((place) => place.host !== host)) {
    throw refuse('All sources must be on one machine.');
  }
  const pull = places.map(({ path }): PulledImage => {
    const inFolder = join(target, basename(path));
    const treeDestination = places.length > 1 ? inFolder : target;
    return { path, destination: isFolder ? inFolder : target, treeDestination };
  });
  return { host, pull };
}

function sshPlace(word: string): { readonly host: string; readonly path: string } {
  const locator = classifyLocator(word);
  if (locator.kind !== 'ssh') throw refuse('One side of sync must be on another machine.');
  return locator;
}

/** Options that would be silently without effect. @throws CasError `USAGE` */
function refuseUnfit({ options }: Context): void {
  const { keep, undo, compress } = options;
  if (keep !== undefined) throw refuse('--keep= needs a destination on this machine.');
  if (undo !== undefined) throw refuse('--undo= needs both sides on this machine.');
  if (compress !== undefined && compress !== 'none' && compress !== LEVEL) {
    throw refuse(`--compress=zstd has level ${LEVEL} on the wire.`);
  }
}

/**
 * Those that are left out have their defaults in the library. The map of a push is one that is held
 * here of what is there; there, one lies beside the destination.
 */
function imageOptions(context: Context, { push }: Ends): Omit<SyncRemoteOptions, 'host'> {
  const { options, settings } = context;
  const { map, check, dryRun, sparse, discard, forceDevice, verify, snapshot } = options;
  const { blockSize, sizePolicy, batch, fsync, ifSourceChanged, onReadError } = options;
  const isHeld = push !== undefined && map !== 'auto' && map !== 'none';
  const digest = options.mapDigest;
  return {
    ...{ check, dryRun, sparse, discard, forceDevice, verify, snapshot, ifSourceChanged },
    ...{ onReadError, noCache: options.noCache },
    ...workOptions(context),
    ...(isHeld ? { heldMap: map } : { map }),
    compress: options.compress !== 'none',
    trees: treeOptions(context),
    settingsFor: settings.settingsFor,
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(digest === undefined ? {} : { digest }),
    ...(sizePolicy === undefined ? {} : { size: sizePolicy }),
    ...(batch === undefined ? {} : { batch }),
    ...(fsync === undefined ? {} : { fsync }),
    onWarning: context.warn,
  };
}

function tell(image: SyncedRemoteImage, context: Context): void {
  const { path, size, transferredBytes, writtenBytes, holeBytes, unreadableBytes } = image;
  if (context.options.dryRun) {
    context.stdout.write(`${path}: ${sizeText(writtenBytes)} would be written\n`);
  }
  context.inform(
    `${path}: ${sizeText(size)}, ${sizeText(transferredBytes)} in blocks, ` +
      `${sizeText(writtenBytes)} written, ${sizeText(holeBytes)} holes`,
  );
  if (unreadableBytes === 0) return;
  context.warn(`${path}: read: ${unreadableBytes} bytes could not be read`);
  context.setExitCode(EXIT_SOURCE_INCOMPLETE);
}
