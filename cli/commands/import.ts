/** `import SOURCE [OUTPUT]` (spec/command-line.md, spec/bridges.md): what other programs have made. */
import {
  type ImportFormat,
  type ImportResult,
  importImage as importResult,
} from '../../lib/api/import.node.ts';
import type { Context } from '../context.ts';
import { EXIT_DIFFERENT } from '../exit-codes.ts';
import { jsonLine } from '../json-text.ts';
import { localPath, refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

const STDIN = 0;
const STDOUT = 1;
const FORMATS: readonly ImportFormat[] = ['bmap', 'sparse', 'rdiff-sig', 'rdiff-delta', 'spgz'];
const UNFIT = 'Only files and devices of this machine are imported';

export async function importImage(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word, second] = words;
  if (word === undefined) throw refuse('Expected what is to be imported.');
  refuseEmpty(word, 'class of locator');
  if (second !== undefined && options.out !== undefined) throw refuse('Only one output expected.');
  const output = second ?? options.out;
  const format = FORMATS.find((known) => known === options.format);
  if (format === undefined && options.format !== undefined) {
    throw refuse(`Expected the format: --format=${FORMATS.join(', ')}.`);
  }
  const { base, forceDevice } = options;
  const result = await synchronize(() =>
    importResult({
      input: word === STANDARD_STREAM ? STDIN : localPath(word, UNFIT),
      ...(format === undefined ? {} : { format }),
      ...(base === undefined ? {} : { base: localPath(base, UNFIT) }),
      ...(output === undefined ? {} : { output: outputOf(output) }),
      forceDevice,
      ...workOptions(context),
    }),
  );
  if (result.signature !== undefined) tellSignature(result, context);
  context.inform(`Written: ${sizeText(result.writtenBytes)}`);
  reportStatistics(context, 'import', result);
  if (result.differentBlocks !== undefined && result.differentBlocks > 0) {
    context.setExitCode(EXIT_DIFFERENT);
  }
}

function outputOf(word: string): string | number {
  return word === STANDARD_STREAM ? STDOUT : localPath(word, UNFIT);
}

function tellSignature({ signature, differentBlocks }: ImportResult, context: Context): void {
  if (signature === undefined) return;
  if (context.options.json) {
    const different = differentBlocks === undefined ? {} : { differentBlocks };
    context.stdout.write(jsonLine({ ...signature, ...different }));
    return;
  }
  const { strongSum, strongLength, weakSum, blockSize, blockCount } = signature;
  context.stdout.write(
    `${blockCount} blocks of ${blockSize} bytes, ${strongSum} (${strongLength} bytes), ${weakSum}\n`,
  );
  if (differentBlocks !== undefined) context.stdout.write(`${differentBlocks} blocks differ\n`);
}
