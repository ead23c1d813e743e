/** `make [OUTPUT] [INPUT]` (spec/command-line.md): an archive, an archive index or a blob index. */
import { make as makeResult } from '../../lib/api/make.node.ts';
import type { Context } from '../context.ts';
import {
  inputOf,
  isReadable,
  type KindRule,
  localPath,
  type OpenedInput,
  openInput,
  placeOf,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
  settledKind,
} from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { entryLines, featureLines, informOfChunkSizes, informOfMade } from '../verbose.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;
const CACHE_NAME = '.cacac';
const VERBS = { begin: 'Packing', end: 'Packed' };
const OUTPUT_KINDS: KindRule<'archive' | 'archive-index' | 'blob-index'> = {
  allowed: ['archive', 'archive-index', 'blob-index'],
  unfitWhat:
    '"make" operation may only be combined with --what=archive, --what=archive-index or --what=blob-index.',
  unfitName:
    'File to create does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
};
type OutputKind = (typeof OUTPUT_KINDS.allowed)[number];

/** Settles the kind by what the input is. */
function kindForInput(kind: OutputKind | undefined, input: OpenedInput): OutputKind {
  if (input.type === 'directory') {
    if (kind === 'blob-index') {
      throw refuse('Input is a directory, but attempted to make blob index. Refusing.');
    }
    return kind ?? 'archive';
  }
  if (!isReadable(input)) {
    throw refuse('Input is a neither a directory, a regular file, nor a block device. Refusing.');
  }
  if (kind === 'archive' || kind === 'archive-index') {
    throw refuse(
      'Input is a regular file or block device, but attempted to make a directory archive. Refusing.',
    );
  }
  return 'blob-index';
}

/** The directory of the encoder cache, where one is wanted. */
function cacheOf(kind: OutputKind, input: string, { options }: Context): string | undefined {
  const { cache, cacheAuto } = options;
  if (cache === undefined && !cacheAuto) return undefined;
  if (kind === 'blob-index') throw refuse('Caching only supported when archiving files trees.');
  if (cache !== undefined) return localPath(cache);
  if (input !== STANDARD_STREAM) return `${localPath(input).replace(/\/+$/, '')}/${CACHE_NAME}`;
  throw refuse("Can't automatically derive cache path if no input path is given.");
}

export async function make(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const output = words[0] ?? STANDARD_STREAM;
  const wanted = settledKind(output, options.what, OUTPUT_KINDS);
  const isTree = wanted === 'archive' || wanted === 'archive-index';
  const inputWord = words[1] ?? (isTree ? '.' : STANDARD_STREAM);
  refuseEmpty(inputWord, 'class of locator');
  if (inputWord !== STANDARD_STREAM) localPath(inputWord, 'Input must be local path');
  const input = openInput(inputWord, (label) => `Failed to open ${label}`);
  const kind = kindForInput(wanted, input);
  const cache = cacheOf(kind, inputWord, context);
  informOfChunkSizes(context);
  const result = await synchronize(() =>
    makeResult({
      ...inputOf(input),
      ...storeOptions(output, context, 'write'),
      ...folderOptions(context),
      ...entryLines(context, VERBS),
      ...featureLines(context),
      output: output === STANDARD_STREAM ? STDOUT : placeOf(output),
      kind,
      chunkSizes: options.chunkSizes,
      chunker: options.chunker,
      ...(cache === undefined ? {} : { cache }),
      onCacheFailure: (error) => {
        context.warn(
          `Failed to write cache ${cache}, ignoring: ${error instanceof Error ? error.message : error}`,
        );
      },
      ...workOptions(context),
      onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
    }),
  );
  informOfMade(context, result);
  reportStatistics(context, 'make', result.statistics);
  // With a cache the digest is not known, and never printed.
  const { digest } = result;
  if (output === STANDARD_STREAM || cache !== undefined || digest === undefined) return;
  context.stdout.write(`${digest}\n`);
}
