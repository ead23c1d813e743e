/** `digest [INPUT] [SUBPATH]` (spec/command-line.md, spec/formats/digests.md). */
import { digest as digestOf } from '../../lib/api/digest.node.ts';
import { subtreePath } from '../../lib/api/subtree.ts';
import { classifyLocator } from '../../store/location.ts';
import type { Context } from '../context.ts';
import {
  inputOf,
  isReadable,
  kindOfName,
  type OpenedInput,
  openInput,
  refuse,
  refuseEmpty,
} from '../kinds.ts';
import type { Kind } from '../options.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { entryLines, featureLines, informOfChunkSizes } from '../verbose.ts';
import { workOptions } from '../work.ts';

const VERBS = { begin: 'Processing', end: 'Processed' };

/** What the options and the name say, before anything is opened. */
function namedKind(word: string, context: Context): Kind | undefined {
  refuseEmpty(word, 'class of locator');
  const named = context.options.what ?? kindOfName(word);
  if (named !== undefined || classifyLocator(word).kind === 'path') return named;
  throw refuse(
    'Failed to determine what to calculate digest of. Use --what=archive, --what=blob, --what=archive-index, --what=blob-index or --what=directory.',
  );
}

/** Settles the kind by name and, without a known suffix, by what the input is. */
function settleKind(named: Kind | undefined, input: OpenedInput, hasSubtree: boolean): Kind {
  if (input.type === 'directory') {
    if (named === undefined || named === 'directory') return 'directory';
    throw refuse('Input is a directory, but attempted to list as blob. Refusing.');
  }
  if (!isReadable(input)) {
    throw refuse('Input is a neither a directory, a regular file, nor a block device. Refusing.');
  }
  if (named === 'directory') {
    throw refuse('Input is a regular file, but attempted to list it as directory.');
  }
  return named ?? (hasSubtree ? 'archive' : 'blob');
}

export async function digest(words: readonly string[], context: Context): Promise<void> {
  const word = words[0] ?? '.';
  const subtree = subtreePath(words[1]);
  const named = namedKind(word, context);
  const input = openInput(word, (label) => `Failed to open ${label}`);
  const kind = settleKind(named, input, subtree.length > 0);
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
      ...seedOptions(context),
      ...folderOptions(context),
      ...entryLines(context, VERBS),
      ...featureLines(context),
      kind,
      subtree,
      ...workOptions(context),
    }),
  );
  context.stdout.write(`${printed}\n`);
}
