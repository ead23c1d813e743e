/** `delta --base=INDEX|FILE SOURCE -o DELTA` (spec/command-line.md, spec/images.md). */
import { DEFAULT_CHUNK_SIZES } from '../../formats/chunk-sizes.ts';
import { delta as deltaResult } from '../../lib/api/delta.node.ts';
import type { Context } from '../context.ts';
import { inputOf, openInput, placeOf, refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;

export async function delta(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word] = words;
  if (word === undefined) throw refuse('Expected a file or device that the delta leads to.');
  refuseEmpty(word, 'class of locator');
  const { base, out, chunking, chunkSizes, blockSize, format } = options;
  if (base === undefined) throw refuse('Expected what the delta leads from: --base=INDEX|FILE.');
  if (out === undefined) throw refuse('Expected where the delta goes: -o FILE.');
  if (format !== undefined && format !== 'casync' && format !== 'sparse') {
    throw refuse(`Formats of deltas are casync and sparse, not ${format}.`);
  }
  const input = openInput(word, (label) => `Failed to open ${label}`);
  if (input.type === 'directory') throw refuse('A delta leads to a file or device. Refusing.');
  const result = await synchronize(() =>
    deltaResult({
      ...(input.type === 'pipe' ? { input: word } : inputOf(input)),
      ...placeOptions(context),
      base,
      output: out === STANDARD_STREAM ? STDOUT : placeOf(out),
      digest: options.digest,
      ...(chunking === undefined ? {} : { chunking }),
      ...(blockSize === undefined ? {} : { blockSize }),
      ...(format === undefined ? {} : { format }),
      ...(chunkSizes === DEFAULT_CHUNK_SIZES ? {} : { chunkSizes }),
      onChunking({ chunking: chosen, reason }) {
        context.inform(`Chunking: ${chosen} (${reason})`);
        if (chunking === 'auto') context.warn(`${word}: ${chosen} (${reason})`);
      },
      ...workOptions(context),
    }),
  );
  context.inform(`New: ${sizeText(result.dataBytes)}, delta: ${sizeText(result.deltaBytes)}`);
  reportStatistics(context, 'delta', result);
}
