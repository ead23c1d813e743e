/** `export SOURCE [OUTPUT]` (spec/command-line.md, spec/bridges.md): an image for another program. */
import type { RdiffStrongSum, RdiffWeakSum } from '../../formats/rdiff-signature.ts';
import { type ExportFormat, exportImage as exportResult } from '../../lib/api/export.node.ts';
import type { Context } from '../context.ts';
import {
  inputOf,
  type OpenedInput,
  openInput,
  placeOf,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
} from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';
import { exportStore } from './export-store.ts';

const STDOUT = 1;
const FORMATS: readonly ExportFormat[] = ['bmap', 'sparse', 'rdiff-sig', 'rdiff-delta', 'qcow2'];
const STRONG_SUMS: Readonly<Record<string, RdiffStrongSum>> = {
  blake2: 'blake2b-256',
  md4: 'md4',
};
const WEAK_SUMS: readonly RdiffWeakSum[] = ['rabinkarp', 'rollsum'];

export async function exportImage(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  if (options.format === 'castr') return exportStore(words, context);
  const [word, second] = words;
  if (word === undefined) throw refuse('Expected a file or device to export.');
  refuseEmpty(word, 'class of locator');
  const { format, sums } = formatOf(options.format);
  const { base, backing, blockSize, sparse } = options;
  if (base !== undefined && format !== 'rdiff-delta') throw refuse('--base= is for rdiff-delta.');
  if (backing !== undefined && format !== 'qcow2') throw refuse('--backing= is for qcow2.');
  if (second !== undefined && options.out !== undefined) throw refuse('Only one output expected.');
  const output = second ?? options.out ?? STANDARD_STREAM;
  const input = openInput(word, (label) => `Failed to open ${label}`);
  if (input.type === 'directory') throw refuse('A file or device is exported. Refusing.');
  const result = await synchronize(() =>
    exportResult({
      ...(isNamed(word, input) ? { input: word } : inputOf(input)),
      ...placeOptions(context),
      ...sums,
      format,
      output: output === STANDARD_STREAM ? STDOUT : placeOf(output),
      sparse,
      ...(base === undefined ? {} : { base }),
      ...(backing === undefined ? {} : { backing }),
      ...(blockSize === undefined ? {} : { blockSize }),
      ...workOptions(context),
    }),
  );
  const { dataBytes, writtenBytes } = result;
  context.inform(`Data: ${sizeText(dataBytes)}, written: ${sizeText(writtenBytes)}`);
  reportStatistics(context, 'export', result);
}

/** Whether the library opens it by its name, and so knows what must not be overwritten. */
function isNamed(word: string, { type }: OpenedInput): boolean {
  return word !== STANDARD_STREAM && (type === 'file' || type === 'device' || type === 'pipe');
}

interface ChosenFormat {
  readonly format: ExportFormat;
  readonly sums: { readonly strongSum?: RdiffStrongSum; readonly weakSum?: RdiffWeakSum };
}

/** `rdiff-sig` may be followed by the names of its sums. */
function formatOf(text: string | undefined): ChosenFormat {
  const [name, ...rest] = (text ?? '').split(':');
  const format = FORMATS.find((known) => known === name);
  if (format === undefined) {
    throw refuse(`Expected the format: --format=${FORMATS.join(', ')}, castr.`);
  }
  if (rest.length === 0) return { format, sums: {} };
  const [strong = '', weak = 'rabinkarp'] = rest;
  const strongSum = Object.hasOwn(STRONG_SUMS, strong) ? STRONG_SUMS[strong] : undefined;
  const weakSum = WEAK_SUMS.find((known) => known === weak);
  if (format !== 'rdiff-sig' || rest.length > 2 || !strongSum || !weakSum) {
    throw refuse('Only rdiff-sig has variants: rdiff-sig:blake2|md4[:rabinkarp|rollsum].');
  }
  return { format, sums: { strongSum, weakSum } };
}
