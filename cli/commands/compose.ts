/** `compose DELTA... -o DELTA` (spec/command-line.md, spec/images.md). */
import { compose as composeResult } from '../../lib/api/compose.node.ts';
import type { Context } from '../context.ts';
import { localPath, placeOf, refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;

export async function compose(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const { out } = options;
  if (words.length === 0) throw refuse('Expected deltas, in the order of their making.');
  if (out === undefined) throw refuse('Expected where the delta goes: -o FILE.');
  for (const word of words) refuseEmpty(word, 'class of locator');
  const result = await synchronize(() =>
    composeResult({
      ...placeOptions(context),
      deltas: words.map((word) =>
        word === STANDARD_STREAM ? 0 : localPath(word, 'Deltas must be on this machine'),
      ),
      output: out === STANDARD_STREAM ? STDOUT : placeOf(out),
      ...workOptions(context),
    }),
  );
  context.inform(`New: ${sizeText(result.dataBytes)}, delta: ${sizeText(result.deltaBytes)}`);
  reportStatistics(context, 'compose', result);
}
