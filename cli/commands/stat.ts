/** `stat [INPUT] [SUBPATH]` (spec/command-line.md): all that is known of one object. */
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { statText } from '../../formats/stat-text.ts';
import { type StatResult, stat as statOf } from '../../lib/api/stat.node.ts';
import type { Context } from '../context.ts';
import { entryJson } from '../entry-json.ts';
import { jsonLine } from '../json-text.ts';
import { nameTree } from '../named-tree.ts';
import { synchronize } from '../synchronize.ts';
import { featureLines, informOfChunkSizes } from '../verbose.ts';

function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The digests are those of the text. */
function statJson(path: Uint8Array, node: CatarNode, facts: Omit<StatResult, 'path' | 'node'>) {
  const { shownFlags, offset, contentDigest, hardLinkDigest } = facts;
  return { ...entryJson(path, node, { shownFlags, contentDigest }), offset, hardLinkDigest };
}

export async function stat(words: readonly string[], context: Context): Promise<void> {
  const tree = nameTree('stat', words, context);
  informOfChunkSizes(context);
  // Only where it has to search does the original tell what it finds.
  const lines = tree.subtree.length > 0 ? featureLines(context) : {};
  const { path, node, ...facts } = await synchronize(() => statOf({ ...tree, ...lines }));
  if (context.options.json) {
    context.stdout.write(jsonLine(statJson(path, node, facts)));
    return;
  }
  // The project id of a folder is shown even if it is 0.
  const showsProject =
    tree.kind === 'directory' && (node.featureFlags & FEATURE.quotaProjectId) !== 0n;
  const shown = showsProject ? { ...node, quotaProjectId: node.quotaProjectId ?? 0 } : node;
  context.stdout.write(statText(path, shown, { ...facts, localTime }));
}
