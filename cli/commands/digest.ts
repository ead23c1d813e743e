/** `digest [INPUT] [SUBPATH]` (spec/command-line.md, spec/formats/digests.md). */
import { digest as digestOf } from '../../lib/api/digest.node.ts';
import { subtreePath } from '../../lib/api/subtree.ts';
import type { Context } from '../context.ts';
import { inputOf, isStream, kindOfName, type OpenedInput, openInput, refuse } from '../kinds.ts';
import type { Kind } from '../options.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { entryLines, featureLines, informOfChunkSizes } from '../verbose.ts';

const VERBS = { begin: 'Processing', end: 'Processed' };

/** Settles the kind by name and, without a known suffix, by what the input is. */
function kindOf(word: string, input: OpenedInput, hasSubtree: boolean, context: Context): Kind {
  const { stats } = input;
  const named = context.options.what ?? kindOfName(word);
  if (stats.isDirectory()) {
    if (named === undefined || named === 'directory') return 'directory';
    throw refuse('Input is a directory, but attempted to list as blob. Refusing.');
  }
  const streams = input.descriptor === 0 && isStream(stats);
  if (!stats.isFile() && !stats.isBlockDevice() && !streams) {
    throw refuse('Input is a neither a directory, a regular file, nor a block device. Refusing.');
  }
  return named ?? (hasSubtree ? 'archive' : 'blob');
}

export async function digest(words: readonly string[], context: Context): Promise<void> {
  const word = words[0] ?? '.';
  const subtree = subtreePath(words[1]);
  const input = openInput(word, (label) => `Failed to open ${label}`);
  const kind = kindOf(word, input, subtree.length > 0, context);
  if (subtree.length > 0 && kind !== 'archive' && kind !== 'archive-index') {
    throw refuse(
      'Subtree path only supported when calculating message digest of archive or archive index.',
    );
  }
  informOfChunkSizes(context);
  const printed = await synchronize(() =>
    digestOf({
      ...inputOf(input),
      ...storeOptions(word, context),
      ...folderOptions(context),
      ...entryLines(context, VERBS),
      ...featureLines(context),
      kind,
      subtree,
      signal: context.signal,
      onProgress: context.onProgress,
    }),
  );
  context.stdout.write(`${printed}\n`);
}
