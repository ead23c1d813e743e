/** `clone SOURCE TARGET` (spec/command-line.md): a folder becomes equal to another one. */
import { clone as cloneResult } from '../../lib/api/clone.node.ts';
import type { Context } from '../context.ts';
import { isFsyncWanted } from '../image-settings.ts';
import { localPath, refuse, refuseEmpty } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { entryLines, featureLines, informOfCloned } from '../verbose.ts';
import { workOptions } from '../work.ts';

const VERBS = { begin: 'Cloning', end: 'Cloned' };

export async function clone(words: readonly string[], context: Context): Promise<void> {
  const [source, target] = words;
  if (source === undefined || target === undefined) {
    throw refuse('A source and a target directory expected.');
  }
  refuseEmpty(source, 'source');
  refuseEmpty(target, 'target');
  const { undoImmutable, punchHoles, reflink } = context.options;
  const { statistics } = await synchronize(() =>
    cloneResult({
      ...folderOptions(context),
      ...entryLines(context, VERBS),
      ...featureLines(context),
      source: localPath(source, 'Source must be local path'),
      target: localPath(target, 'Target must be local path'),
      delete: context.options.delete,
      undoImmutable,
      punchHoles,
      reflink,
      fsync: isFsyncWanted(context.options),
      ...workOptions(context),
    }),
  );
  informOfCloned(context, statistics);
  reportStatistics(context, 'clone', statistics);
}
