/** `put --name=NAME IMAGE` (spec/command-line.md): an image as the next version of a chain. */
import { type PutVersionResult, putVersion as putResult } from '../../lib/api/put-version.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { refuse, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { storedImageOptions } from '../stored-image.ts';
import { synchronize } from '../synchronize.ts';
import { namedChain } from '../versions.ts';

export async function putVersion(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word = STANDARD_STREAM] = words;
  if (words.length > 1) throw refuse('With --name= only an image is expected.');
  const result = await synchronize(() =>
    putResult({
      ...namedChain(context),
      ...storedImageOptions(word, context),
      tag: options.at,
    }),
  );
  informOf(result, context);
  reportStatistics(context, 'put', result.statistics);
  context.stdout.write(options.json ? jsonLine(result) : `${result.id}\n`);
}

function informOf({ statistics, number, root }: PutVersionResult, context: Context): void {
  const { imageBytes, changedBytes, storedBytes, newChunkCount } = statistics;
  context.inform(`Version: ${number}, root: ${root}`);
  context.inform(`Changed: ${sizeText(changedBytes)} of ${sizeText(imageBytes)}`);
  context.inform(`New blocks: ${newChunkCount}, stored: ${sizeText(storedBytes)}`);
}
