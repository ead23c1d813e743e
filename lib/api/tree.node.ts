/**
 * The input of list, manifest, stat, digest and extract as a stream of archive events, whatever it is:
 * a folder, an archive, or an index with its store.
 */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { PipelineError } from '../errors.ts';
import { shiftedId } from '../extract/recorded-metadata.ts';
import { walkTree } from '../make/walk.node.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { readSubtree } from '../read/locate.ts';
import { createBreather } from '../work/breathe.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { type BehindIndex, type BehindIndexOptions, openBehindIndex } from './behind-index.node.ts';
import { type FeatureMask, shownFlags } from './features.ts';
import { folderFlags, walkOptions } from './folder.node.ts';
import {
  chunksWith,
  type OpenedFile,
  type OpenedInput,
  openInput,
  openSource,
  readIndex,
} from './input.node.ts';
import { kindOfPath, type TreeKind } from './kinds.ts';
import type { FolderOptions, ReadTreeOptions } from './options.ts';
import type { WorkOptions } from './work-options.ts';

/** A folder that is walked. */
export interface FolderTree {
  readonly kind: 'directory';
  readonly folder: OpenedFile;
  readonly featureFlags: bigint;
}

/** Archive bytes that are parsed. */
export interface ArchiveTree {
  readonly kind: 'archive';
  readonly source: ByteSource;
  /** Where its chunks are fetched, if there are chunks. */
  readonly pool?: JobPool;
  /** How many chunks came from where so far. */
  readonly counts?: BehindIndex['source']['counts'];
  /** Time in which seeds were read to find out what they hold. */
  readonly seedingMs?: number;
  /** Known from the index, where there is one. */
  readonly expectedFlags?: bigint;
}

export type Tree = FolderTree | ArchiveTree;

function unfit(input: OpenedInput, reason: string): PipelineError {
  return new PipelineError('USAGE', { subject: input.label, reason });
}

/** What opening an archive takes. */
export type ArchiveOptions = BehindIndexOptions & Pick<FolderOptions, 'onIncomplete'>;

/** Opens archive bytes, or those behind an index. */
export async function openArchive(
  input: OpenedInput,
  kind: 'archive' | 'archive-index',
  options: ArchiveOptions,
): Promise<ArchiveTree> {
  if (input.form === 'file' && input.stats.isDirectory()) {
    throw unfit(input, 'Input is a directory, but attempted to list archive or index.');
  }
  if (kind === 'archive') return { kind: 'archive', source: await openSource(input, options) };
  const index = await readIndex(input, options);
  const chunks = chunksWith(input);
  const behind = await openBehindIndex(index, input.label, {
    ...options,
    ...(chunks && { chunks }),
  });
  const { counts } = behind.source;
  return { kind: 'archive', expectedFlags: index.featureFlags, counts, ...behind };
}

async function openTree(
  input: OpenedInput,
  kind: TreeKind,
  options: ReadTreeOptions,
): Promise<Tree> {
  if (kind !== 'directory') return openArchive(input, kind, options);
  if (input.form !== 'file' || !input.stats.isDirectory()) {
    throw unfit(input, 'Input is a regular file, but attempted to list it as directory.');
  }
  return { kind, folder: input, featureFlags: folderFlags(options) };
}

/** @throws PipelineError `USAGE` if that is no tree */
function kindOfTree(input: OpenedInput, options: ReadTreeOptions): TreeKind {
  const kind = options.kind ?? kindOfPath(options.input);
  const isFolder = input.form === 'file' && input.stats.isDirectory();
  if (isFolder) return kind === 'archive' || kind === 'archive-index' ? kind : 'directory';
  if (kind !== undefined && kind !== 'blob-index') return kind;
  if (kind === undefined && typeof options.input !== 'string') return 'archive';
  throw unfit(input, 'Input should be a directory, .catar or .caidx file. Refusing.');
}

/** Runs `work` on the tree that the options name, and closes it. */
export async function withTree<Result>(
  options: ReadTreeOptions,
  work: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  const input = openInput(options);
  try {
    const tree = await openTree(input, kindOfTree(input, options), options);
    try {
      return await work(tree);
    } finally {
      if (tree.kind === 'archive') await tree.source.close();
    }
  } finally {
    input.close();
  }
}

/** Tells which features of a node are shown; they are the same in all nodes of a tree. */
export function createFlagsReader(tree: Tree, options: FeatureMask): (node: CatarNode) => bigint {
  let shown: bigint | undefined;
  return ({ featureFlags }) => {
    shown ??= tree.kind === 'directory' ? featureFlags : shownFlags(featureFlags, options);
    return shown;
  };
}

/** A node of an archive with the owner that it would be restored with. */
export function withLocalOwner(
  tree: Tree,
  node: CatarNode,
  { uidShift }: FolderOptions,
): CatarNode {
  if (uidShift === undefined || tree.kind === 'directory') return node;
  const localOwner = { uid: shiftedId(node.uid, uidShift), gid: shiftedId(node.gid, uidShift) };
  return { ...node, localOwner };
}

export interface EventOptions {
  /** Whether file contents are wanted. */
  readonly contents: boolean;
  /** The one node of an archive that is wanted, with all below it; by default the root. */
  readonly subtree?: Uint8Array;
  /** Nothing below the children of that node; only without contents. */
  readonly childrenOnly?: boolean;
  /** What the reading is part of, for progress. */
  readonly phase?: string;
}

const NO_PATH = new Uint8Array(0);

/** Walks an open folder. */
export function walkFolder(
  { folder }: FolderTree,
  options: FolderOptions & WorkOptions,
  { contents, childrenOnly = false }: EventOptions,
): Iterable<CatarEvent> {
  const walking = walkOptions(folder, options);
  return walkTree(folder.descriptor, {
    ...walking,
    contents: contents ? 'read' : 'skip',
    childrenOnly,
  });
}

/**
 * Feeds all events of the tree to `handle`.
 * @param handle may return a promise, if the next event has to wait
 * @throws PipelineError `NOT_IN_ARCHIVE` if there is no such node, before any event
 */
export async function forEachEvent(
  tree: Tree,
  handle: (event: CatarEvent) => Promise<void> | undefined,
  options: FolderOptions & WorkOptions,
  events: EventOptions,
): Promise<void> {
  const breathe = createBreather();
  const { subtree = NO_PATH, contents, childrenOnly = false, phase = 'read' } = events;
  if (tree.kind === 'archive') {
    const { source, expectedFlags } = tree;
    const { signal, onProgress } = options;
    await readSubtree(source, subtree, handle, {
      ...(expectedFlags === undefined ? {} : { expectedFlags }),
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
      skipPayloads: !contents,
      childrenOnly,
      phase,
      breathe,
    });
    return;
  }
  if (subtree.length > 0) throw subtreeOfFolder();
  for (const event of walkFolder(tree, options, events)) {
    const pause = handle(event) ?? breathe();
    if (pause !== undefined) await pause;
  }
}

/** Only archives are looked into. */
export function subtreeOfFolder(): PipelineError {
  const reason = 'Subtree path only supported when listing archive or archive index.';
  return new PipelineError('USAGE', { reason });
}
