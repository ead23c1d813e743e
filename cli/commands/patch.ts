/** `patch BASE DELTA...` (spec/command-line.md, spec/images.md). */
import { patch as patchResult } from '../../lib/api/patch.node.ts';
import type { Context } from '../context.ts';
import { localPath, refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

const STDIN = 0;
const ELSEWHERE = 'Only files on this machine can be patched';

export async function patch(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [base, ...deltas] = words;
  if (base === undefined || deltas.length === 0) {
    throw refuse('Expected a file or device and the deltas to apply to it.');
  }
  for (const word of words) refuseEmpty(word, 'class of locator');
  if (base === STANDARD_STREAM) throw refuse('A stream cannot be patched.');
  if (deltas.filter((word) => word === STANDARD_STREAM).length > 1) {
    throw refuse('Standard input can be one delta only.');
  }
  refuseOptions(context);
  const { out, undo, reverse, forceDevice } = options;
  const result = await synchronize(() =>
    patchResult({
      base: localPath(base, ELSEWHERE),
      deltas: deltas.map((word) =>
        word === STANDARD_STREAM ? STDIN : localPath(word, 'Deltas must be on this machine'),
      ),
      ...(out === undefined ? {} : { output: localPath(out, ELSEWHERE) }),
      ...(undo === undefined ? {} : { undo }),
      reverse,
      forceDevice,
      ...workOptions(context),
      onWarning: context.warn,
    }),
  );
  if (result.wasPatched) context.inform('Nothing to do: it is the result already');
  if (result.wasResumed) context.inform('A patch that was cut off is complete now');
  context.inform(`Written: ${sizeText(result.writtenBytes)}, zeros: ${sizeText(result.holeBytes)}`);
  reportStatistics(context, 'patch', result);
}

/** Options that would seem to have an effect. */
function refuseOptions({ options }: Context): void {
  const { out, base, format } = options;
  if (out === STANDARD_STREAM) throw refuse('A patched image needs a name: -o FILE.');
  if (base !== undefined) throw refuse('patch takes its base as first word, without --base.');
  if (format !== undefined) throw refuse('patch finds out itself what a delta is.');
}
