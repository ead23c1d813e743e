/** `diff A B` of images by their blocks (spec/command-line.md): with --name= or --format=. */
import { type ComparedImage, diffImages as differencesOf } from '../../lib/api/diff-images.node.ts';
import type { Context } from '../context.ts';
import { EXIT_DIFFERENT } from '../exit-codes.ts';
import { jsonLine } from '../json-text.ts';
import { localPath, refuse, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { namedChain } from '../versions.ts';
import { workOptions } from '../work.ts';

const STDIN = 0;
/** Words that begin so name versions. */
const VERSION_MARK = '@';
const FORMATS = ['text', 'ranges', 'json'] as const;

export async function diffImages(words: readonly string[], context: Context): Promise<void> {
  const { stdout, options } = context;
  const [before, after] = words.map((word) => imageOf(word, context));
  if (before === undefined || after === undefined) throw refuse('Two things to compare expected.');
  const { format = options.json ? 'json' : 'text' } = options;
  if (!FORMATS.some((known) => known === format)) {
    throw refuse(`Failed to parse --format= parameter: ${format}`);
  }
  const result = await synchronize(() =>
    differencesOf({
      before,
      after,
      ...workOptions(context),
      onRange({ start, end }) {
        if (format === 'ranges') stdout.write(`${start} ${end - start}\n`);
        else if (format === 'json') stdout.write(jsonLine({ start, end, exact: false }));
        else stdout.write(`changed ${start} ${end} chunks\n`);
        return undefined;
      },
    }),
  );
  if (format === 'json') stdout.write(jsonLine({ summary: result }));
  else if (format === 'text' && result.beforeSize !== result.afterSize) {
    stdout.write(`size ${result.beforeSize} ${result.afterSize}\n`);
  }
  context.inform(`Ranges that differ: ${result.rangeCount}, bytes: ${result.differentBytes}`);
  reportStatistics(context, 'diff', result);
  if (!result.isEqual) context.setExitCode(EXIT_DIFFERENT);
}

function imageOf(word: string, context: Context): ComparedImage {
  if (context.options.name !== undefined && word.startsWith(VERSION_MARK)) {
    return { ...namedChain(context), at: word.slice(VERSION_MARK.length) };
  }
  if (word === STANDARD_STREAM) return { input: STDIN, label: 'standard input' };
  return { input: localPath(word), label: word };
}
