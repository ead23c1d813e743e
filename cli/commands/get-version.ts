/** `get --name=NAME [--at=VERSION] OUTPUT` (spec/command-line.md): a version of a chain. */
import { getVersion as getResult } from '../../lib/api/get-version.node.ts';
import type { Context } from '../context.ts';
import { localPath, refuse, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { namedChain } from '../versions.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;

export async function getVersion(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word = STANDARD_STREAM] = words;
  if (words.length > 1) throw refuse('With --name= only an output is expected.');
  const { at, sizePolicy, sparse, discard, forceDevice, batch, fsync } = options;
  const { id, size, statistics } = await synchronize(() =>
    getResult({
      ...namedChain(context),
      output: word === STANDARD_STREAM ? STDOUT : localPath(word),
      ...{ at, sizePolicy, sparse, discard, forceDevice, batch, fsync },
      ...workOptions(context),
      ...(options.map === 'auto' ? {} : { map: options.map }),
      onWarning: context.warn,
    }),
  );
  const { fetchedBytes, keptBytes, writtenBytes } = statistics;
  context.inform(`Version: ${id}, ${sizeText(size)}`);
  context.inform(`From the store: ${sizeText(fetchedBytes)}, kept: ${sizeText(keptBytes)}`);
  context.inform(`Written: ${sizeText(writtenBytes)}`);
  reportStatistics(context, 'get', { id, size, ...statistics });
}
