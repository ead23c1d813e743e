/** `list` and `mtree` `[INPUT] [SUBPATH]` (spec/command-line.md). */
import type { CatarNode } from '../../formats/catar-events.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { listLine } from '../../formats/listing.ts';
import { mtreeLine } from '../../formats/mtree.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import { notInArchive } from '../../lib/read/archive.ts';
import { createSubtreeFilter, type SubtreeVisitor } from '../../lib/read/subtree.ts';
import type { DigestStream } from '../../store/transforms.ts';
import type { Context } from '../context.ts';
import { synchronize } from '../synchronize.ts';
import {
  closeTree,
  type EventOptions,
  forEachEvent,
  nameTree,
  openTree,
  type TreeInput,
} from '../tree-input.ts';
import { shownFlags, subtreePath, withLocalOwner } from '../trees.ts';

async function visitTree(
  verb: string,
  words: readonly string[],
  context: Context,
  options: EventOptions,
  createVisitor: (tree: TreeInput) => SubtreeVisitor,
): Promise<void> {
  const wanted = subtreePath(words[1]);
  const named = nameTree(verb, words[0] ?? '.', wanted, context);
  await synchronize(async () => {
    const tree = await openTree(named, context);
    try {
      const filter = createSubtreeFilter(wanted, createVisitor(tree));
      await forEachEvent(tree, (event) => filter.handle(event), context, options);
      if (!filter.found) throw notInArchive();
    } finally {
      await closeTree(tree);
    }
  });
}

export async function list(words: readonly string[], context: Context): Promise<void> {
  const { stdout, options } = context;
  await visitTree('list', words, context, { contents: false, isListing: true }, () => ({
    enter(path, node, depth) {
      if (options.recursive || depth <= 1) stdout.write(listLine(path, node.mode));
      return undefined;
    },
  }));
}

/** The lines of one tree; a file's line is complete when its content has been seen. */
function createMtreeVisitor(tree: TreeInput, context: Context): SubtreeVisitor {
  const { stdout, options } = context;
  let content: DigestStream | undefined;
  const algorithmOf = (node: CatarNode): DigestName => digestOfFlags(node.featureFlags);
  const flagsOf = (node: CatarNode): bigint =>
    tree.kind === 'directory' ? node.featureFlags : shownFlags(node.featureFlags, context);
  const print = (path: Uint8Array, node: CatarNode): void => {
    const label = options.digest ?? algorithmOf(node);
    const digest = content ? { digest: { label, value: content.finish() } } : {};
    const shown = tree.kind === 'directory' ? node : withLocalOwner(node, context);
    stdout.write(mtreeLine(path, shown, { shownFlags: flagsOf(node), ...digest }));
    content = undefined;
  };
  return {
    enter(path, node) {
      if (node.type === 'file') content = createDigest(algorithmOf(node)).stream();
      else print(path, node);
      return undefined;
    },
    data(bytes) {
      content?.update(bytes);
    },
    leave(path, node) {
      if (node.type === 'file') print(path, node);
    },
  };
}

export async function mtree(words: readonly string[], context: Context): Promise<void> {
  await visitTree('mtree', words, context, { contents: true }, (tree) =>
    createMtreeVisitor(tree, context),
  );
}
