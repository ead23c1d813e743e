/** `gc INDEX...` (spec/command-line.md): removes the chunks of a store that no index needs. */
import { CasError, isCasError } from '../../formats/errors.ts';
import { gc as collect, type GcEvent, type GcResult, OPEN_INDEX } from '../../lib/api/gc.node.ts';
import { processStartedAt } from '../../lib/os/process-identity.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { placeOf, refuse, STANDARD_STREAM } from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { reportStatistics } from '../report.ts';
import { namedStore, storeOptions } from '../stores.ts';
import { workOptions } from '../work.ts';

/** One line of the result as the original prints it; nothing without `-v`, but for dry runs. */
function summaryLine(result: GcResult, { options }: Context): string {
  const { removedCount, removedFolderCount, remainingCount } = result;
  const left = `${remainingCount} chunks remaining.\n`;
  if (options.dryRun) return `Would remove ${removedCount} chunks, ${left}`;
  if (!options.verbose) return '';
  return `Removed ${removedCount} chunks, ${removedFolderCount} directories, ${left}`;
}

const THINGS = {
  chunk: 'chunk',
  temporary: 'temporary file',
  pack: 'pack',
  'rewritten-pack': 'unused chunks of pack',
} as const;

function tell(event: GcEvent, context: Context): void {
  const { options, stdout } = context;
  if (event.kind === 'unnamed') {
    const id = event.name.split('.', 1)[0];
    context.inform(`Failed to parse chunk ID "${id}", ignoring.`);
    return;
  }
  if (event.kind === 'kept-index') {
    context.inform(`Keeping the chunks of "${event.path}", which was finished meanwhile.`);
    return;
  }
  if (event.kind === 'damaged-pack') {
    context.warn(`Leaving a pack that cannot be read: ${event.name}: ${event.reason}`);
    return;
  }
  if (!options.verbose || options.json) return;
  if (event.kind === 'usage') {
    const { referenceCount, chunkCount } = event;
    stdout.write(`Chunk store usage: ${referenceCount} references, ${chunkCount} chunks\n`);
    return;
  }
  const verb = options.dryRun ? 'Would remove' : 'Removing';
  stdout.write(`${verb} ${THINGS[event.kind]} ${event.name}.\n`);
}

/** Failures begin with the original's words. */
function failureOf(error: unknown): unknown {
  if (!isCasError(error) || error.code === 'ABORTED' || error.code === 'READER_GONE') return error;
  const { code, step, subject, reason, message } = error;
  const parts =
    step === OPEN_INDEX
      ? { subject: `Failed to open index "${subject}"`, reason }
      : { subject: 'Chunk cleanup failed', reason: message };
  return new CasError(code, { ...parts, cause: error });
}

export async function gc(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [first] = words;
  if (first === undefined && namedStore(context) === undefined) {
    throw refuse('Expected at least one argument.');
  }
  const { store, suffix } = storeOptions(first ?? STANDARD_STREAM, context);
  const indexes = words.map(placeOf);
  let result: GcResult;
  try {
    result = await collect({
      indexes,
      ...placeOptions(context),
      ...(store === undefined ? {} : { store }),
      ...(suffix === undefined ? {} : { suffix }),
      dryRun: options.dryRun,
      // The shell may have collected the names for us.
      namesReadAt: processStartedAt(),
      ...workOptions(context),
      onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
      onEvent: (event) => tell(event, context),
    });
  } catch (error) {
    throw failureOf(error);
  }
  context.stdout.write(options.json ? jsonLine(result) : summaryLine(result, context));
  reportStatistics(context, 'gc', result);
}
