/**
 * `export --format=castr SOURCE OUTPUT` (spec/command-line.md): an index, or a version of a chain, as a
 * plain store.
 */
import { exportStore as exportResult } from '../../lib/api/export-store.node.ts';
import type { Context } from '../context.ts';
import { localPath, refuse } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { chainStore } from '../versions.ts';
import { workOptions } from '../work.ts';

export async function exportStore(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const { name, at } = options;
  const [first, second] = words;
  const output = name === undefined ? second : first;
  if (first === undefined || output === undefined || (name !== undefined && second !== undefined)) {
    throw refuse('An index and a store, or --name= and a store, expected.');
  }
  const result = await synchronize(() =>
    exportResult({
      ...chainStore(context),
      source:
        name === undefined
          ? { index: localPath(first) }
          : { name, ...(at === undefined ? {} : { at }) },
      output: localPath(output),
      ...workOptions(context),
      onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
    }),
  );
  const { storedCount, presentCount } = result;
  context.inform(`Stored chunks: ${storedCount}, there already: ${presentCount}`);
  reportStatistics(context, 'export', result);
}
