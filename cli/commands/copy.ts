/** `copy INDEX...` (spec/remote.md, "copy"): indexes and what they need into another store. */
import { type CopiedIndex, copy as copyOf } from '../../lib/api/copy.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { namedStore, storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

function tell(copied: CopiedIndex, { options, stdout, inform }: Context): void {
  if (options.json) stdout.write(jsonLine(copied));
  const { output, chunkCount, copiedChunkCount, copiedBytes } = copied;
  const chunks = `${copiedChunkCount} of ${chunkCount} chunks`;
  inform(`${output}: copied ${chunks}, ${sizeText(copiedBytes)}`);
}

export async function copy(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [first] = words;
  const { to } = options;
  if (first === undefined) throw refuse('Expected at least one index.');
  if (to === undefined) throw refuse('The store to copy to is missing: --to=STORE.');
  refuseEmpty(to, 'store to copy to');
  for (const word of words) refuseEmpty(word, 'index');
  if (words.includes(STANDARD_STREAM)) throw refuse('Only an index with a name can be copied.');
  const { store: _, ...others } = storeOptions(first, context);
  // Without one that is named, each index has its own beside it.
  const store = namedStore(context);
  const result = await synchronize(() =>
    copyOf({
      ...others,
      ...(store === undefined ? {} : { store }),
      indexes: words,
      to,
      ...workOptions(context),
      onIndex: (copied) => tell(copied, context),
      onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
    }),
  );
  reportStatistics(context, 'copy', result.statistics);
}
