/**
 * The input of list, mtree, stat and digest as a stream of archive events, whatever it is: a folder,
 * an archive, or an index with its store.
 */
import { closeSync } from 'node:fs';
import type { CatarEvent } from '../formats/catar-events.ts';
import { FEATURE, FEATURE_NAMES } from '../formats/feature-flags.ts';
import { readStandardInput } from '../lib/make/blob.node.ts';
import { type PackTreeOptions, packTree } from '../lib/make/pack-tree.node.ts';
import type { PackEntries } from '../lib/make/packing.ts';
import { walkTree } from '../lib/make/walk.node.ts';
import { type EventHandler, readArchive } from '../lib/read/archive.ts';
import type { ByteSource } from '../lib/read/byte-source.ts';
import { openFileSource, openStreamSource } from '../lib/read/file-source.node.ts';
import { openIndexSource } from '../lib/read/index-source.node.ts';
import { createBreather } from '../lib/work/breathe.ts';
import { defaultThreadCount } from '../lib/work/job-pool.node.ts';
import { packEntries } from '../lib/work/jobs/pack-entries.node.ts';
import type { JobPool } from '../lib/work/jobs.node.ts';
import type { Context } from './context.ts';
import { readIndex } from './indexes.ts';
import {
  isStandardStream,
  kindOfName,
  type OpenedInput,
  openInput,
  refuse,
  STANDARD_STREAM,
} from './kinds.ts';
import type { Kind } from './options.ts';
import { describeStoresForReading } from './stores.ts';
import {
  type EntryVerbs,
  informOfEntry,
  madeFlags,
  reportIncomplete,
  uidShiftOf,
} from './trees.ts';

export interface FolderInput {
  readonly kind: 'directory';
  readonly input: OpenedInput;
  readonly featureFlags: bigint;
}

export interface ArchiveInput {
  readonly kind: 'archive';
  readonly source: ByteSource;
  /** Where its chunks are fetched, if there are chunks. */
  readonly pool?: JobPool;
  /** Known from the index, where there is one. */
  readonly expectedFlags?: bigint;
}

/** A folder that is walked, or archive bytes that are parsed. */
export type TreeInput = FolderInput | ArchiveInput;

/** Opens archive bytes from an open file or from standard input. */
export function openArchive(input: OpenedInput, context: Context): ArchiveInput {
  const source = isStandardStream(input)
    ? openStreamSource(readStandardInput(context.signal), input.label)
    : openFileSource(input.descriptor, input.label);
  return { kind: 'archive', source };
}

/** Opens the archive behind an index. */
export async function openArchiveIndex(
  word: string,
  input: OpenedInput,
  context: Context,
): Promise<ArchiveInput> {
  const index = await readIndex(input, context);
  const source = openIndexSource(index, {
    source: describeStoresForReading(word, index, context),
    threadCount: defaultThreadCount(),
    label: input.label,
    signal: context.signal,
  });
  return { kind: 'archive', source, pool: source.pool, expectedFlags: index.featureFlags };
}

/** Settles what list, mtree and stat were given. */
function treeKind(verb: string, word: string, input: OpenedInput, what: Kind | undefined): Kind {
  if (what === 'blob' || what === 'blob-index') {
    throw refuse(
      `"${verb}" operation may only be combined with --what=archive, archive-index, or directory.`,
    );
  }
  const kind = what ?? kindOfName(word);
  if (input.stats.isDirectory()) {
    if (kind === undefined || kind === 'directory') return 'directory';
    throw refuse('Input is a directory, but attempted to list archive or index.');
  }
  if (kind === 'directory') {
    throw refuse('Input is a regular file, but attempted to list it as directory.');
  }
  if (kind === 'archive' || kind === 'archive-index') return kind;
  if (word === STANDARD_STREAM) return 'archive';
  throw refuse('Input should be a directory, .catar or .caidx file. Refusing.');
}

/** An opened input whose kind is settled, not read yet. */
export interface NamedTree {
  readonly kind: Kind;
  readonly word: string;
  readonly input: OpenedInput;
}

/**
 * Opens what list, mtree and stat were given and settles what it is.
 * @param subtree must be empty for a folder
 */
export function nameTree(
  verb: string,
  word: string,
  subtree: Uint8Array,
  context: Context,
): NamedTree {
  const input = openInput(word, (label) => `Failed to open "${label}"`);
  const kind = treeKind(verb, word, input, context.options.what);
  if (kind === 'directory' && subtree.length > 0) {
    throw refuse('Subtree path only supported when listing archive or archive index.');
  }
  return { kind, word, input };
}

/** Begins to read a tree. */
export async function openTree(named: NamedTree, context: Context): Promise<TreeInput> {
  const { kind, word, input } = named;
  if (kind === 'archive') return openArchive(input, context);
  if (kind === 'archive-index') return openArchiveIndex(word, input, context);
  return { kind: 'directory', input, featureFlags: madeFlags(context, 'all') };
}

export interface EventOptions {
  /** Whether file contents are wanted. */
  readonly contents: boolean;
  /** `-v` messages before and after each entry of a folder. */
  readonly verbs?: EntryVerbs;
  /** Only names and modes are shown, so that it does not matter what else cannot be read. */
  readonly isListing?: boolean;
  /** Entries whose change during the walk is our own doing. */
  readonly isExpectedToChange?: (label: string) => boolean;
}

/** What was selected and cannot be read here, because the optional package is missing. */
function unavailableText(features: bigint): string {
  const names = FEATURE_NAMES.filter(([, bit]) => (features & bit) !== 0n).map(([name]) => name);
  if ((features & FEATURE.excludeNodump) !== 0n) names.push('exclude-nodump');
  return `Left out, because the package koffi is not available: ${names.join(' ')}`;
}

/** What the options say of reading a folder, whatever is made of it. */
function folderOptions(
  input: OpenedInput,
  featureFlags: bigint,
  context: Context,
  { verbs, isListing, isExpectedToChange }: Omit<EventOptions, 'contents'>,
): PackTreeOptions {
  const report = reportIncomplete(context);
  const uidShift = uidShiftOf(context);
  return {
    label: input.label,
    featureFlags,
    applyExcludeFiles: context.options.excludeFile,
    signal: context.signal,
    onIncomplete: (label, reason) => {
      if (!isExpectedToChange?.(label)) report(label, reason);
    },
    onUnavailable: (features) => {
      if (!isListing) context.warn(unavailableText(features));
    },
    ...(uidShift ? { uidShift } : {}),
    ...(verbs && context.options.verbose
      ? {
          onEntry: (path: Uint8Array, stage: 'begin' | 'end') =>
            informOfEntry(context, verbs[stage], path),
        }
      : {}),
  };
}

/** Walks an open folder as the options ask. */
export function openWalk(
  input: OpenedInput,
  featureFlags: bigint,
  context: Context,
  options: EventOptions,
): Iterable<CatarEvent> {
  const contents = options.contents ? 'read' : 'skip';
  const walkOptions = folderOptions(input, featureFlags, context, options);
  return walkTree(input.descriptor, { ...walkOptions, contents });
}

/**
 * The archive of an open folder, as the options ask, in pieces that are valid until the next is taken.
 * @param pack where the files are read; here, unless there are threads.
 */
export function packFolder(
  input: OpenedInput,
  featureFlags: bigint,
  context: Context,
  options: Omit<EventOptions, 'contents' | 'isListing'>,
  pack: PackEntries = packHere,
): AsyncIterable<Uint8Array> {
  const packOptions = folderOptions(input, featureFlags, context, options);
  return packTree(input.descriptor, packOptions, pack);
}

const packHere: PackEntries = async (input) => packEntries(undefined, input);

/** Feeds all events of the input to `handle`, until it says `stop`. */
export async function forEachEvent(
  tree: TreeInput,
  handle: EventHandler,
  context: Context,
  options: EventOptions,
): Promise<void> {
  const breathe = createBreather();
  const { signal, onProgress } = context;
  if (tree.kind === 'archive') {
    const { source, expectedFlags } = tree;
    const flags = expectedFlags === undefined ? {} : { expectedFlags };
    await readArchive(source, handle, {
      ...flags,
      skipPayloads: !options.contents,
      signal,
      breathe,
      onProgress,
    });
    return;
  }
  for (const event of openWalk(tree.input, tree.featureFlags, context, options)) {
    await breathe();
    if ((await handle(event)) === 'stop') return;
  }
}

/** Closes what the input holds open. */
export async function closeTree(tree: TreeInput): Promise<void> {
  if (tree.kind === 'archive') await tree.source.close();
  else closeSync(tree.input.descriptor);
}
