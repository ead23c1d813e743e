/** `map ACTION FILE` (spec/command-line.md, spec/images.md): looks after the map of a destination. */
import { escapeBytes } from '../../formats/escape.ts';
import {
  type MapAction,
  type MapOptions,
  type MapResult,
  map as mapOf,
} from '../../lib/api/map.node.ts';
import type { Context } from '../context.ts';
import { EXIT_DIFFERENT } from '../exit-codes.ts';
import { jsonLine } from '../json-text.ts';
import { localPath, refuse, refuseEmpty } from '../kinds.ts';
import { reportStatistics } from '../report.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

const ACTIONS: readonly MapAction[] = ['show', 'check', 'rebuild', 'bind', 'forget'];
const KIBIBYTE = 1024;

export async function map(words: readonly string[], context: Context): Promise<void> {
  const [word, destination] = words;
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined || destination === undefined) {
    throw refuse(`Expected ${ACTIONS.join(', ')} and a file or device.`);
  }
  refuseEmpty(destination, 'class of locator');
  const { options, stdout } = context;
  const result = await synchronize(() =>
    mapOf({
      action,
      destination: localPath(destination, 'The map of a destination elsewhere is there, too'),
      ...mapOptions(context),
      onDifference: ({ start, end }) => {
        const change = 'differs';
        stdout.write(
          options.json ? jsonLine({ change, start, end }) : `${change} ${start} ${end}\n`,
        );
      },
    }),
  );
  if (options.json) stdout.write(jsonLine(result));
  else if (action === 'show') stdout.write(shownText(result));
  else context.inform(summaryOf(result));
  reportStatistics(context, 'map', result);
  if (result.isGood === false) context.setExitCode(EXIT_DIFFERENT);
}

function mapOptions(context: Context): Omit<MapOptions, 'action' | 'destination'> {
  const { map: path, blockSize, check, forceDevice, mapDigest } = context.options;
  return {
    map: path,
    check,
    forceDevice,
    ...workOptions(context),
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(mapDigest === undefined ? {} : { digest: mapDigest }),
  };
}

function shownText({ map: shown }: MapResult): string {
  if (shown === undefined) return '';
  const { condition, reason, journalRecords, openBlocks } = shown;
  const rows: readonly (readonly [string, string])[] = [
    ['Map', shownPath(shown.mapPath)],
    ['State', reason === undefined ? condition : `${condition}: ${reason}`],
    ['Belongs to', shownPath(shown.binding)],
    ['Digest', shown.digest],
    ['Block size', `${shown.blockSize}`],
    ['Size', `${shown.size}`],
    ['Root', shown.root ?? 'not known before the update is complete'],
    ['Journal', journalRecords === 0 ? 'none' : `${journalRecords} records`],
    ['Blocks in doubt', `${openBlocks}`],
  ];
  return rows.map(([name, value]) => `${name}: ${value}\n`).join('');
}

/** Without what a terminal could obey. */
function shownPath(words: string): string {
  return words
    .split(' ')
    .map((word) => escapeBytes(Buffer.from(word)))
    .join(' ');
}

function summaryOf({ action, mapPath, readBytes, isGood, differentBlocks }: MapResult): string {
  const read = `read ${Math.ceil(readBytes / KIBIBYTE)} KiB`;
  if (action === 'forget') return `Forgotten: ${shownPath(mapPath)}`;
  if (action !== 'check') return `Map: ${shownPath(mapPath)}, ${read}`;
  return isGood ? `The map is right, ${read}` : `Different blocks: ${differentBlocks}, ${read}`;
}
