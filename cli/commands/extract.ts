/** `extract [INPUT] [OUTPUT] [SUBPATH]` (spec/command-line.md): a tree or a blob comes back. */
import { type BigIntStats, fstatSync, statSync } from 'node:fs';
import { type ExtractOptions, extract as extractResult } from '../../lib/api/extract.node.ts';
import { subtreePath } from '../../lib/api/subtree.ts';
import type { Context } from '../context.ts';
import { isFsyncWanted } from '../image-settings.ts';
import {
  inputOf,
  type KindRule,
  localPath,
  openInput,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
  settledKind,
} from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { featureMask, uidShiftOf } from '../trees.ts';
import { entryLines, featureLines, informOfExtracted } from '../verbose.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;
const VERBS = { begin: 'Extracting', end: 'Extracted' };
const INPUT_KINDS: KindRule<'archive' | 'archive-index' | 'blob-index'> = {
  allowed: ['archive', 'archive-index', 'blob-index'],
  unfitWhat:
    '"extract" operation may only be combined with --what=archive, --what=archive-index, --what=blob-index.',
  unfitName:
    'File to read from does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
};
type ExtractedKind = (typeof INPUT_KINDS.allowed)[number];

/** What is at the output now, undefined if nothing is. */
function outputStats(output: string): BigIntStats | undefined {
  if (output === STANDARD_STREAM) return fstatSync(STDOUT, { bigint: true });
  return statSync(output, { bigint: true, throwIfNoEntry: false });
}

/** Settles the kind by what is at the output, and refuses what does not fit. */
function kindForOutput(
  kind: ExtractedKind | undefined,
  existing: BigIntStats | undefined,
): ExtractedKind {
  if (existing?.isDirectory()) {
    if (kind === 'blob-index') {
      throw refuse('Output is a directory, but attempted to extract blob index. Refusing.');
    }
    return kind ?? 'archive-index';
  }
  if (existing && kind !== undefined && kind !== 'blob-index') {
    if (!existing.isFile() && !existing.isBlockDevice()) {
      throw refuse('Output is neither a directory, a regular file, nor a block device. Refusing.');
    }
    throw refuse('Output is a regular file or block device, but attempted to extract an archive.');
  }
  if (kind !== undefined) return kind;
  if (existing) return 'blob-index';
  throw refuse(
    "Couldn't figure out what to extract. Refusing. Use --what=archive, --what=archive-index or --what=blob-index.",
  );
}

/** What the options say of writing. */
export function outputOptions({ options }: Context): Partial<ExtractOptions> {
  const { seedOutput, reflink, hardlink, undoImmutable, punchHoles } = options;
  return {
    seedOutput,
    reflink,
    hardlink,
    delete: options.delete,
    undoImmutable,
    punchHoles,
    fsync: isFsyncWanted(options),
  };
}

export async function extract(words: readonly string[], context: Context): Promise<void> {
  const word = words[0] ?? STANDARD_STREAM;
  const named = settledKind(word, context.options.what, INPUT_KINDS);
  const isTree = named === 'archive' || named === 'archive-index';
  const output = words[1] ?? (isTree ? '.' : STANDARD_STREAM);
  refuseEmpty(output, 'locator class');
  if (output !== STANDARD_STREAM) localPath(output, 'Output must be local path');
  const kind = kindForOutput(named, outputStats(output));
  const subtree = subtreePath(words[2]);
  if (subtree.length > 0 && kind === 'blob-index') {
    throw refuse('Subtree path only supported when extracting archive or archive index.');
  }
  const input = openInput(word, (label) =>
    kind === 'archive' ? `Failed to set sync archive: ${label}` : `Failed to open ${label}`,
  );
  const result = await synchronize(() =>
    extractResult({
      ...inputOf(input, 'named'),
      ...storeOptions(word, context),
      ...seedOptions(context),
      ...featureMask(context),
      ...uidShiftOf(context),
      ...outputOptions(context),
      ...entryLines(context, VERBS),
      ...featureLines(context),
      output: output === STANDARD_STREAM ? STDOUT : localPath(output),
      kind,
      subtree,
      ...workOptions(context),
    }),
  );
  informOfExtracted(context, result);
  reportStatistics(context, 'extract', result.statistics);
}
