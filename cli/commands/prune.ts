/** `prune [VERSION...]` (spec/command-line.md): versions of a chain are forgotten. */
import { pruneVersions } from '../../lib/api/versions.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { namedChain, versionLine } from '../versions.ts';

export async function prune(words: readonly string[], context: Context): Promise<void> {
  const { options, stdout, signal } = context;
  const { dryRun, json, keepRules } = options;
  const { forgotten, kept } = await synchronize(() =>
    pruneVersions({ ...namedChain(context), forget: words, keep: keepRules, dryRun, signal }),
  );
  for (const version of forgotten) {
    if (json) stdout.write(jsonLine({ forgotten: version.id, time: version.time.toISOString() }));
    else stdout.write(`${dryRun ? 'would forget' : 'forgot'} ${versionLine(version)}`);
  }
  context.inform(`Kept: ${kept.length}. "gc" gives their space back.`);
  const counts = { forgottenCount: forgotten.length, keptCount: kept.length };
  reportStatistics(context, 'prune', counts);
}
