/** `list`, `mtree` and `manifest` `[INPUT] [SUBPATH]` (spec/command-line.md). */
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { listLine } from '../../formats/listing.ts';
import { mtreeLine } from '../../formats/mtree.ts';
import { list as entriesOf } from '../../lib/api/list.node.ts';
import { type ManifestEntry, manifest } from '../../lib/api/manifest.node.ts';
import type { Context } from '../context.ts';
import { entryJson } from '../entry-json.ts';
import { jsonLine } from '../json-text.ts';
import { nameTree } from '../named-tree.ts';
import { synchronize } from '../synchronize.ts';
import { featureLines, informOfChunkSizes } from '../verbose.ts';

export async function list(words: readonly string[], context: Context): Promise<void> {
  const { stdout, options } = context;
  const tree = nameTree('list', words, context);
  informOfChunkSizes(context);
  await synchronize(async () => {
    // Only names and modes are shown, so it does not matter what else cannot be read.
    const { recursive } = options;
    const reading = { ...tree, ...featureLines(context), recursive, onUnavailable: () => {} };
    for await (const { path, node, shownFlags } of entriesOf(reading)) {
      stdout.write(
        options.json ? jsonLine(entryJson(path, node, { shownFlags })) : listLine(path, node.mode),
      );
    }
  });
}

function manifestLine({ path, node, shownFlags, contentDigest }: ManifestEntry, context: Context) {
  const label = context.options.digest ?? digestOfFlags(node.featureFlags);
  if (context.options.json) {
    return jsonLine(entryJson(path, node, { shownFlags, contentDigest }));
  }
  if (contentDigest === undefined) return mtreeLine(path, node, { shownFlags });
  return mtreeLine(path, node, { shownFlags, digest: { label, value: contentDigest } });
}

export async function mtree(words: readonly string[], context: Context): Promise<void> {
  const tree = nameTree('mtree', words, context);
  informOfChunkSizes(context);
  await synchronize(async () => {
    for await (const entry of manifest({ ...tree, ...featureLines(context) })) {
      context.stdout.write(manifestLine(entry, context));
    }
  });
}
