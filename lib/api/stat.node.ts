/** `stat` of the library: all that is known of one object (spec/api.md, "stat"). */
import type { CatarNode } from '../../formats/catar-events.ts';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { createDigest } from '../digest/digest.node.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { digestRange } from '../read/digest-archive.ts';
import { type LocatedNode, locateNode } from '../read/locate.ts';
import { createBreather } from '../work/breathe.ts';
import type { ReadTreeOptions } from './options.ts';
import { type Subtree, subtreePath } from './subtree.ts';
import {
  type ArchiveTree,
  createFlagsReader,
  type FolderTree,
  subtreeOfFolder,
  walkFolder,
  withLocalOwner,
  withTree,
} from './tree.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface StatOptions extends ReadTreeOptions {
  /** The object; by default the root. */
  readonly subtree?: Subtree;
}

export interface StatResult {
  /** From the root, whose own path is empty. */
  readonly path: Uint8Array;
  readonly node: CatarNode;
  /** Features of an archive that pass the mask of the options; of a folder, the recorded ones. */
  readonly shownFlags: bigint;
  /** Archive offset of the object. */
  readonly offset: number;
  /** Of files and block devices. */
  readonly contentDigest?: ChunkId;
  /** Of the whole object, for all but folders. */
  readonly hardLinkDigest?: ChunkId;
}

type Digests = Pick<StatResult, 'contentDigest' | 'hardLinkDigest'>;

/**
 * Finds one object of an archive or archive index, or the root of a folder.
 * @throws CasError `USAGE`, `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws
 */
export function stat(options: StatOptions): Promise<StatResult> {
  const path = subtreePath(options.subtree);
  return withTree(options, async (tree) =>
    tree.kind === 'directory' ? statFolder(tree, path, options) : statArchive(tree, path, options),
  );
}

async function statArchive(
  tree: ArchiveTree,
  path: Uint8Array,
  options: StatOptions,
): Promise<StatResult> {
  const { source, expectedFlags } = tree;
  const { signal } = options;
  const located = await locateNode(source, path, {
    breathe: createBreather(),
    ...(signal ? { signal } : {}),
    ...(expectedFlags === undefined ? {} : { expectedFlags }),
  });
  options.onFeatures?.(located.node.featureFlags);
  return {
    path: located.path,
    node: withLocalOwner(tree, located.node, options),
    shownFlags: createFlagsReader(tree, options)(located.node),
    offset: located.start,
    ...(await digestsOf(located, source, options)),
  };
}

/** Digests of a node's bytes in the archive; a block device counts as an empty file. */
async function digestsOf(
  { node, start, end }: LocatedNode,
  source: ByteSource,
  { signal }: WorkOptions,
): Promise<Digests> {
  if (node.type === 'directory') return {};
  const digest = createDigest(digestOfFlags(node.featureFlags));
  const options = { digest, breathe: createBreather(), ...(signal ? { signal } : {}) };
  const hardLinkDigest = await digestRange(source, start, end, options);
  if (node.type !== 'file' && node.type !== 'block-device') return { hardLinkDigest };
  const contentDigest = await digestRange(source, end - node.size, end, options);
  return { contentDigest, hardLinkDigest };
}

/** Only the root of a folder has a place in its archive that is known. */
function statFolder(tree: FolderTree, path: Uint8Array, options: StatOptions): StatResult {
  if (path.length > 0) throw subtreeOfFolder();
  for (const event of walkFolder(tree, options, { contents: false })) {
    if (event.kind !== 'enter') break;
    const { featureFlags } = event.node;
    return { path, node: event.node, shownFlags: featureFlags, offset: 0 };
  }
  throw new TypeError('a folder has a root');
}
