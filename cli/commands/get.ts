/** `get INDEX [OUTPUT]` (spec/command-line.md): the bytes behind an index, as they are. */
import { statSync } from 'node:fs';
import { get as getResult } from '../../lib/api/get.node.ts';
import type { Context } from '../context.ts';
import { inputOf, localPath, openInput, refuse, STANDARD_STREAM, settledKind } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { informOfExtracted } from '../verbose.ts';
import { workOptions } from '../work.ts';
import { outputOptions } from './extract.ts';
import { getVersion } from './get-version.ts';
import { INDEX_KINDS } from './put.ts';

const STDOUT = 1;

export async function get(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  if (options.name !== undefined) return getVersion(words, context);
  if (options.at !== undefined)
    throw refuse('--at= names a version of a chain; --name= the chain.');
  const [word, output = STANDARD_STREAM] = words;
  if (word === undefined) throw refuse('An index and an output expected.');
  settledKind(word, options.what, INDEX_KINDS);
  if (output !== STANDARD_STREAM) {
    localPath(output, 'Output must be local path');
    if (statSync(output, { throwIfNoEntry: false })?.isDirectory()) {
      throw refuse('Output is a directory; "extract" unpacks an archive into it. Refusing.');
    }
  }
  const input = openInput(word, (label) => `Failed to open ${label}`);
  const result = await synchronize(() =>
    getResult({
      ...inputOf(input, 'named'),
      ...storeOptions(word, context),
      ...seedOptions(context),
      ...outputOptions(context),
      output: output === STANDARD_STREAM ? STDOUT : localPath(output),
      ...workOptions(context),
    }),
  );
  informOfExtracted(context, { kind: 'blob-index', statistics: result.statistics });
  reportStatistics(context, 'get', result.statistics);
}
