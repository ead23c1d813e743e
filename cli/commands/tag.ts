/** `tag VERSION [TAG]` (spec/command-line.md): a further name for a version of a chain. */
import { tagVersion } from '../../lib/api/versions.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { refuse } from '../kinds.ts';
import { synchronize } from '../synchronize.ts';
import { namedChain, versionLine } from '../versions.ts';
import { versionJsonLine } from './log.ts';

/** One word is a name that is taken away. */
export async function tag(words: readonly string[], context: Context): Promise<void> {
  const { options, stdout, signal } = context;
  const [first, second] = words;
  if (first === undefined) throw refuse('A version and a name expected.');
  const isTaken = second === undefined;
  const named = await synchronize(() =>
    tagVersion({
      ...namedChain(context),
      tag: isTaken ? first : second,
      at: isTaken ? undefined : first,
      signal,
    }),
  );
  if (options.json) stdout.write(named ? versionJsonLine(named) : jsonLine({ removed: first }));
  else if (named) stdout.write(versionLine(named));
}
