/** `verify INPUT [TARGET]` (spec/command-line.md): is it still what it was? */
import { escapeBytes } from '../../formats/escape.ts';
import { repair } from '../../lib/api/repair.node.ts';
import { type VerifyResult, verify as verifyResult } from '../../lib/api/verify.node.ts';
import type { StoreProblem } from '../../lib/maintain/verify-store.node.ts';
import { isTwiceStandardInput, openCompared } from '../compared-word.ts';
import type { Context } from '../context.ts';
import {
  type DifferenceWords,
  entryJsonLine,
  entryLine,
  rangeJsonLine,
  rangeLine,
} from '../differences.ts';
import { EXIT_DIFFERENT, exitCodeOfCode } from '../exit-codes.ts';
import { jsonLine } from '../json-text.ts';
import { kindOfName, localPath, placeOf, refuse } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { sizeText } from '../size-text.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { folderOptions } from '../trees.ts';
import { workOptions } from '../work.ts';

const WORDS: DifferenceWords = { removed: 'missing', added: 'superfluous', changed: 'differs' };

export async function verify(words: readonly string[], context: Context): Promise<void> {
  const { stdout, options } = context;
  const { json } = options;
  if (options.repair) return repairImage(words, context);
  if (options.from.length > 0) throw refuse('--from= is of use only with --repair.');
  if (isTwiceStandardInput(words)) throw refuse('Only one of both can be standard input.');
  const word = words[0];
  if (word === undefined) throw refuse('Archive, index or store expected.');
  const expected = openCompared(word, context);
  const isStore = words[1] === undefined && expected.opened.type === 'directory';
  const result = await synchronize(() =>
    verifyResult({
      ...folderOptions(context),
      // Every thread opens the store by its path.
      expected: isStore ? { ...storeOptions(word, context), input: localPath(word) } : expected,
      ...(words[1] === undefined ? {} : { target: openCompared(words[1], context) }),
      onEntry: (difference) => {
        stdout.write((json ? entryJsonLine : entryLine)(difference, WORDS));
        return undefined;
      },
      onRange: (range) => {
        const whole = { ...range, isExact: false };
        stdout.write((json ? rangeJsonLine : rangeLine)(whole, WORDS.changed));
        return undefined;
      },
      onProblem: (problem) => stdout.write(json ? jsonLine(problem) : problemLine(problem)),
      ...workOptions(context),
    }),
  );
  if (json) stdout.write(jsonLine({ summary: summaryOf(result) }));
  else if (
    result.kind === 'blob' &&
    (result.targetSize ?? result.expectedSize) !== result.expectedSize
  ) {
    stdout.write(`size ${result.expectedSize} ${result.targetSize}\n`);
  }
  context.inform(summaryText(result));
  reportStatistics(context, 'verify', summaryOf(result));
  if (!result.isGood) context.setExitCode(exitCodeOfResult(result));
}

/** Only what is damaged is written. */
async function repairImage(words: readonly string[], context: Context): Promise<void> {
  const { options, stdout } = context;
  const [index, target] = words;
  if (index === undefined || target === undefined || kindOfName(index) !== 'blob-index') {
    throw refuse('--repair needs a blob index and the file or device that it describes.');
  }
  const result = await synchronize(() =>
    repair({
      ...storeOptions(index, context),
      index: placeOf(index),
      target: localPath(target),
      from: options.from,
      forceDevice: options.forceDevice,
      onRange({ start, end }, outcome) {
        const line = options.json
          ? jsonLine({ start, end, outcome })
          : `${outcome} ${start} ${end}\n`;
        stdout.write(line);
      },
      ...workOptions(context),
    }),
  );
  if (options.json) stdout.write(jsonLine({ summary: result }));
  const { repairedBytes, lostBytes } = result;
  context.inform(`Repaired: ${sizeText(repairedBytes)}, lost: ${sizeText(lostBytes)}`);
  reportStatistics(context, 'verify', result);
  if (result.isGood) return;
  context.warn(
    `${target}: repair: ${lostBytes} bytes have no good copy; name other places with --from=`,
  );
  context.setExitCode(exitCodeOfCode('CHUNK_MISSING'));
}

function problemLine({ kind, id, path, reason }: StoreProblem): string {
  const place = path === undefined ? undefined : escapeBytes(Buffer.from(path));
  const thing = kind === 'misplaced' || kind === 'foreign' ? (place ?? id) : (id ?? place);
  return kind === 'missing' ? `missing ${thing}\n` : `${kind} ${thing} ${reason}\n`;
}

/** Of chunks the counts, not the problems themselves, which have been told. */
function summaryOf(result: VerifyResult): object {
  if (result.kind !== 'chunks') return result;
  const { problems: _, ...counts } = result;
  return counts;
}

/** The most telling of the failures that were met. */
function exitCodeOfResult(result: VerifyResult): number {
  if (result.kind !== 'chunks') return EXIT_DIFFERENT;
  const { missing, damaged } = result.problemCounts;
  if (missing > 0) return exitCodeOfCode('CHUNK_MISSING');
  return exitCodeOfCode(damaged > 0 ? 'CHUNK_DAMAGED' : 'UNAVAILABLE');
}

function summaryText(result: VerifyResult): string {
  switch (result.kind) {
    case 'tree': {
      const { removedCount, addedCount, changedCount } = result;
      return `Missing: ${removedCount}, superfluous: ${addedCount}, different: ${changedCount}`;
    }
    case 'blob':
      return `Compared: ${sizeText(result.expectedSize)}, different: ${sizeText(result.differentBytes)}`;
    case 'chunks':
      return `Verified chunks: ${result.chunkCount}, good: ${sizeText(result.goodBytes)}`;
    case 'archive':
      return 'The archive is complete and valid.';
  }
}
