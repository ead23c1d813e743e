/** `diff A B` (spec/command-line.md): in what two trees or two blobs differ. */
import { type DiffResult, diff as differencesOf } from '../../lib/api/diff.node.ts';
import { isTwiceStandardInput, openCompared } from '../compared-word.ts';
import type { Context } from '../context.ts';
import {
  type DifferenceWords,
  entryJsonLine,
  entryLine,
  rangeJsonLine,
  rangeLine,
} from '../differences.ts';
import { EXIT_DIFFERENT } from '../exit-codes.ts';
import { jsonLine } from '../json-text.ts';
import { refuse } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { workOptions } from '../work.ts';
import { diffImages } from './diff-images.ts';

const WORDS: DifferenceWords = { removed: 'removed', added: 'added', changed: 'changed' };

export async function diff(words: readonly string[], context: Context): Promise<void> {
  const { stdout, options } = context;
  if (words.length !== 2) throw refuse('Two things to compare expected.');
  if (isTwiceStandardInput(words)) throw refuse('Only one of both can be standard input.');
  if (options.name !== undefined || options.format !== undefined) return diffImages(words, context);
  const [before, after] = words.map((word) => openCompared(word, context));
  const { json } = options;
  const result = await synchronize(() =>
    differencesOf({
      ...folderOptions(context),
      before,
      after,
      onEntry: (difference) => {
        stdout.write((json ? entryJsonLine : entryLine)(difference, WORDS));
        return undefined;
      },
      onRange: (range) => {
        stdout.write((json ? rangeJsonLine : rangeLine)(range, WORDS.changed));
        return undefined;
      },
      ...workOptions(context),
    }),
  );
  if (json) stdout.write(jsonLine({ summary: result }));
  else if (result.kind === 'blobs' && result.hasOtherSize) {
    stdout.write(`size ${result.beforeSize} ${result.afterSize}\n`);
  }
  informOf(result, context);
  reportStatistics(context, 'diff', result);
  if (!result.isEqual) context.setExitCode(EXIT_DIFFERENT);
}

function informOf(result: DiffResult, context: Context): void {
  if (result.kind === 'trees') {
    const { addedCount, removedCount, changedCount } = result;
    context.inform(`Added: ${addedCount}, removed: ${removedCount}, changed: ${changedCount}`);
    return;
  }
  context.inform(`Ranges that differ: ${result.rangeCount}, bytes: ${result.differentBytes}`);
}
