/**
 * `sync --store=STORE SOURCE INDEX`, or `--name=NAME SOURCE` (spec/images.md, "A store as destination"):
 * compressed, and without what the store has already.
 */
import { syncStore as syncResult } from '../../lib/api/sync-store.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { kindOfName, localPath, refuse } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { storedImageOptions } from '../stored-image.ts';
import { synchronize } from '../synchronize.ts';
import { chainStore } from '../versions.ts';
import { putVersion } from './put-version.ts';

export async function syncStore(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  if (options.name !== undefined) {
    if (words.length !== 1) throw refuse('With --name= only a source is expected.');
    return putVersion(words, context);
  }
  const [source, index] = words;
  if (source === undefined || index === undefined || words.length > 2) {
    throw refuse('With --store= a source and an index (.caibx), or --name=, are expected.');
  }
  if (kindOfName(index) !== 'blob-index') {
    throw refuse('With --store= the destination is an index, whose name ends in .caibx.');
  }
  const result = await synchronize(() =>
    syncResult({
      ...chainStore(context),
      ...storedImageOptions(source, context),
      index: localPath(index),
    }),
  );
  const { changedBytes, imageBytes, storedBytes } = result.statistics;
  context.inform(`Changed: ${sizeText(changedBytes)} of ${sizeText(imageBytes)}`);
  context.inform(`Stored: ${sizeText(storedBytes)}, root: ${result.root}`);
  reportStatistics(context, 'sync', { source, index, ...result });
  if (options.json) context.stdout.write(jsonLine(result));
}
