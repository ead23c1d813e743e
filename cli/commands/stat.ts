/** `stat [INPUT] [SUBPATH]` (spec/command-line.md): all that is known of one object. */
import type { CatarNode } from '../../formats/catar-events.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { statText } from '../../formats/stat-text.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import { type LocatedNode, locateNode } from '../../lib/read/archive.ts';
import type { ByteSource } from '../../lib/read/byte-source.ts';
import { digestRange } from '../../lib/read/digest-archive.ts';
import { createBreather } from '../../lib/work/breathe.ts';
import type { Context } from '../context.ts';
import { synchronize } from '../synchronize.ts';
import { type ArchiveInput, closeTree, nameTree, openTree, openWalk } from '../tree-input.ts';
import { shownFlags, subtreePath, withLocalOwner } from '../trees.ts';

function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Digests of a node's bytes in the archive; a block device counts as an empty file. */
async function digestsOf(
  located: LocatedNode,
  source: ByteSource,
  context: Context,
): Promise<Pick<Parameters<typeof statText>[2], 'contentDigest' | 'hardLinkDigest'>> {
  const { node, start, end } = located;
  if (node.type === 'directory') return {};
  const digest = createDigest(digestOfFlags(node.featureFlags));
  const options = { digest, signal: context.signal, breathe: createBreather() };
  const hasContent = node.type === 'file' || node.type === 'block-device';
  return {
    hardLinkDigest: await digestRange(source, start, end, options),
    ...(hasContent
      ? { contentDigest: await digestRange(source, end - node.size, end, options) }
      : {}),
  };
}

async function statArchive(
  tree: ArchiveInput,
  path: Uint8Array,
  context: Context,
): Promise<string> {
  const { source, expectedFlags } = tree;
  const located = await locateNode(source, path, {
    signal: context.signal,
    breathe: createBreather(),
    ...(expectedFlags === undefined ? {} : { expectedFlags }),
  });
  return statText(located.path, withLocalOwner(located.node, context), {
    shownFlags: shownFlags(located.node.featureFlags, context),
    offset: located.start,
    localTime,
    ...(await digestsOf(located, source, context)),
  });
}

/** The root of a folder; its project id is shown even if it is 0. */
function statRoot(node: CatarNode): string {
  const shown = { ...node, quotaProjectId: node.quotaProjectId ?? 0 };
  return statText(new Uint8Array(0), shown, {
    shownFlags: node.featureFlags,
    offset: 0,
    localTime,
  });
}

export async function stat(words: readonly string[], context: Context): Promise<void> {
  const path = subtreePath(words[1]);
  const named = nameTree('stat', words[0] ?? '.', path, context);
  await synchronize(async () => {
    const tree = await openTree(named, context);
    try {
      if (tree.kind === 'archive') {
        context.stdout.write(await statArchive(tree, path, context));
        return;
      }
      const options = { contents: false };
      for (const event of openWalk(tree.input, tree.featureFlags, context, options)) {
        if (event.kind !== 'enter') continue;
        context.stdout.write(statRoot(event.node));
        return;
      }
    } finally {
      await closeTree(tree);
    }
  });
}
