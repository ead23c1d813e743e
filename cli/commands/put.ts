/** `put INDEX [INPUT]` (spec/command-line.md): a blob, or an archive as it is, into a store. */
import { put as putResult } from '../../lib/api/put.node.ts';
import type { Context } from '../context.ts';
import {
  inputOf,
  type KindRule,
  openInput,
  placeOf,
  refuse,
  STANDARD_STREAM,
  settledKind,
} from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { informOfChunkSizes, informOfMade } from '../verbose.ts';
import { workOptions } from '../work.ts';
import { putVersion } from './put-version.ts';

const STDOUT = 1;
export const INDEX_KINDS: KindRule<'archive-index' | 'blob-index'> = {
  allowed: ['archive-index', 'blob-index'],
  unfitWhat: 'Only --what=archive-index and --what=blob-index are possible here.',
  unfitName: 'The index must have a valid suffix. (May be one of: .caidx, .caibx)',
};

export async function put(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  if (options.name !== undefined) return putVersion(words, context);
  const [output, inputWord = STANDARD_STREAM] = words;
  if (output === undefined) throw refuse('An index and an input expected.');
  const kind = settledKind(output, options.what, INDEX_KINDS);
  if (kind === undefined) throw refuse(INDEX_KINDS.unfitName);
  const input = openInput(inputWord, (label) => `Failed to open ${label}`);
  if (input.type === 'directory') {
    throw refuse('Input is a directory; "make" makes an index of it. Refusing.');
  }
  informOfChunkSizes(context);
  const result = await synchronize(() =>
    putResult({
      ...inputOf(input, 'named'),
      ...storeOptions(output, context, 'write'),
      ...folderOptions(context),
      output: output === STANDARD_STREAM ? STDOUT : placeOf(output),
      kind,
      chunkSizes: options.chunkSizes,
      chunker: options.chunker,
      ...workOptions(context),
      onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
    }),
  );
  informOfMade(context, { ...result, inapplicableFeatures: 0n, isComplete: true });
  reportStatistics(context, 'put', result.statistics);
  if (output !== STANDARD_STREAM) context.stdout.write(`${result.digest}\n`);
}
