/** `index FILE [-o INDEX]` (spec/command-line.md, spec/images.md): an index, and no store. */
import { DEFAULT_CHUNK_SIZES } from '../../formats/chunk-sizes.ts';
import { makeIndex } from '../../lib/api/make-index.node.ts';
import type { Context } from '../context.ts';
import { inputOf, openInput, placeOf, refuse, refuseEmpty, STANDARD_STREAM } from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { workOptions } from '../work.ts';

const STDOUT = 1;
const SUFFIX = '.caibx';

export async function index(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word] = words;
  if (word === undefined) throw refuse('Expected a file or device to index.');
  refuseEmpty(word, 'class of locator');
  refuseOptions(context);
  const output = options.out ?? (word === STANDARD_STREAM ? STANDARD_STREAM : `${word}${SUFFIX}`);
  const input = openInput(word, (label) => `Failed to open ${label}`);
  if (input.type === 'directory') {
    throw refuse('Input is a directory, of which "make" makes an archive index. Refusing.');
  }
  const { chunking, blockSize, chunkSizes, chunker } = options;
  const result = await synchronize(() =>
    makeIndex({
      ...(input.type === 'pipe' ? { input: word } : inputOf(input)),
      ...placeOptions(context),
      ...folderOptions(context),
      output: output === STANDARD_STREAM ? STDOUT : placeOf(output),
      ...(chunking === undefined ? {} : { chunking }),
      ...(blockSize === undefined ? {} : { blockSize }),
      ...(chunkSizes === DEFAULT_CHUNK_SIZES ? {} : { chunkSizes }),
      chunker,
      onChunking({ chunking: chosen, reason }, { min, avg, max }) {
        const sizes =
          min === max ? `blocks of ${avg} bytes` : `chunks of ${min}:${avg}:${max} bytes`;
        context.inform(`Chunking: ${chosen}, ${sizes} (${reason})`);
        if (options.chunking === 'auto') context.warn(`${word}: ${chosen}, ${sizes} (${reason})`);
      },
      ...workOptions(context),
    }),
  );
  context.inform(`Size: ${sizeText(result.size)}, chunks: ${result.chunkCount}`);
  reportStatistics(context, 'index', result);
  if (output !== STANDARD_STREAM) context.stdout.write(`${result.root}\n`);
}

/** Options that would seem to have an effect. */
function refuseOptions({ options }: Context): void {
  if (options.format !== undefined) {
    throw refuse('An index has one format; "export" writes those of other programs.');
  }
}
