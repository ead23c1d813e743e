/** Options of commands about images (spec/images.md): a part of the table of options. */
import type { FsyncPolicy, ImageOptions, KeepRule } from './image-settings.ts';
import {
  flagRow,
  known,
  type OptionRow,
  oneOf,
  refuse,
  sizeRow,
  textRow,
  valueRow,
} from './option-row.ts';
import type { Options } from './options.ts';
import { parseByteCount } from './values.ts';

export const BLAKE2B = 'blake2b-256';
const MOST_JOBS = 64;
const MOST_KEPT = 1_000_000;
const MOST_RETRIES = 1000;
const STRONGEST_LEVEL = 19;
const KEEP_RULES: readonly KeepRule[] = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'];

/** @returns undefined for what is no whole number up to `most` */
function readCount(text: string, most: number): number | undefined {
  return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

/** The fields of {@link ImageOptions} that hold one of these words. */
type WordField<Word extends string> = {
  [K in keyof ImageOptions]-?: Word extends ImageOptions[K] ? K : never;
}[keyof ImageOptions];

function wordRow<Word extends string>(
  long: string,
  field: WordField<Word>,
  words: readonly Word[],
  help: string,
): OptionRow {
  const set = (options: Options, value: string): void => {
    Object.assign(options, { [field]: oneOf(words, long, value) });
  };
  return valueRow(long, '=WORD', `${help}: ${words.join(', ')}`, set, { values: words });
}

type FlagField = {
  [K in keyof ImageOptions]: ImageOptions[K] extends boolean ? K : never;
}[keyof ImageOptions];

function imageFlag(long: string, field: FlagField, help: string): OptionRow {
  return flagRow(long, help, (options) => {
    options[field] = true;
  });
}

function readIfChanged(value: string): Options['ifSourceChanged'] | undefined {
  if (value === 'fail' || value === 'warn') return value;
  const retries = value.startsWith('retry=')
    ? readCount(value.slice('retry='.length), MOST_RETRIES)
    : undefined;
  return retries === undefined ? undefined : { retries };
}

function readCompress(value: string): Options['compress'] {
  if (value === 'none') return 'none';
  if (value === 'zstd') return undefined;
  const level = /^zstd:(\d{1,2})$/.exec(value)?.[1];
  const strength = level === undefined ? undefined : readCount(level, STRONGEST_LEVEL);
  if (!strength) throw refuse(`Failed to parse --compress= parameter: ${value}`);
  return strength;
}

const FSYNC_POLICIES: readonly FsyncPolicy[] = ['batch', 'end', 'none'];
const FSYNC: OptionRow = {
  ...valueRow(
    'fsync',
    '[=WORD]',
    'Wait until all is on disk; sync: batch, end or none',
    (options, value) => {
      options.fsync = value === '' ? 'end' : oneOf(FSYNC_POLICIES, 'fsync', value);
    },
    { values: FSYNC_POLICIES },
  ),
  isValueOptional: true,
};

const BLOCK_SIZE = valueRow(
  'block-size',
  '=SIZE',
  'Bytes of a block, or auto',
  (options, value) => {
    const size = parseByteCount(value, 1);
    options.blockSize = value === 'auto' ? undefined : known(size, 'block-size', value);
  },
  { values: ['auto'] },
);

const KEEP_OPTIONS = KEEP_RULES.map((rule) =>
  valueRow(
    `keep-${rule}`,
    '=N',
    rule === 'last' ? 'prune: keep the newest N versions' : `prune: keep N ${rule} versions`,
    (options, value) => {
      options.keepRules[rule] = known(readCount(value, MOST_KEPT), `keep-${rule}`, value);
    },
  ),
);

export const IMAGE_OPTIONS: readonly OptionRow[] = [
  FSYNC,
  { ...textRow('output', '=FILE', 'out', 'Where the result goes', 'file'), short: 'o' },
  valueRow(
    'map',
    '=PATH',
    'Map of the destination: a path, auto or none',
    (options, value) => {
      options.map = value;
    },
    { values: 'file' },
  ),
  BLOCK_SIZE,
  wordRow('chunking', 'chunking', ['auto', 'fixed', 'cdc'], 'How to cut'),
  imageFlag('check', 'check', 'Read the destination, whatever its map says'),
  wordRow('size', 'sizePolicy', ['exact', 'resize', 'larger-ok', 'common'], 'Where sizes differ'),
  wordRow('sparse', 'sparse', ['auto', 'always', 'never'], 'Zeros as holes'),
  imageFlag('discard', 'discard', 'Tell the device which blocks are zeros'),
  sizeRow('batch', 'batch', 'Bytes written between two checkpoints (64M)', 1),
  valueRow(
    'verify',
    '=WORD',
    'Read what was written: none, written, full',
    (options, value) => {
      options.verify = oneOf(['none', 'written', 'full'], 'verify', value);
    },
    { values: ['none', 'written', 'full'] },
  ),
  textRow('undo', '=FILE', 'undo', 'Keep what is overwritten as a delta', 'file'),
  textRow('keep', '=NAME', 'keep', 'Keep a reflink copy of the destination first', 'file'),
  wordRow('snapshot', 'snapshot', ['auto', 'reflink', 'none'], 'Read a frozen copy of the source'),
  valueRow(
    'if-source-changed',
    '=WORD',
    'When the source changes meanwhile: fail, warn, retry=N',
    (options, value) => {
      options.ifSourceChanged = known(readIfChanged(value), 'if-source-changed', value);
    },
    { values: ['fail', 'warn', 'retry='] },
  ),
  wordRow('on-read-error', 'onReadError', ['fail', 'skip'], 'What cannot be read'),
  valueRow('jobs', '=N', 'Threads that work', (options, value) => {
    const count = readCount(value, MOST_JOBS);
    options.jobs = known(count === 0 ? undefined : count, 'jobs', value);
  }),
  valueRow(
    'compress',
    '=WORD',
    'On the wire: none, zstd or zstd:LEVEL',
    (options, value) => {
      options.compress = readCompress(value);
    },
    { values: ['none', 'zstd', 'zstd:'] },
  ),
  sizeRow('bwlimit', 'rateLimitBps', 'The same as --rate-limit-bps', 1),
  textRow('ssh', '=COMMAND', 'ssh', 'The program that is used as ssh'),
  textRow('remote-path', '=COMMAND', 'remotePath', 'casync on the other machine'),
  imageFlag('force-device', 'forceDevice', 'Write to a device that is in use'),
  imageFlag('no-cache', 'noCache', 'Leave the page cache to others'),
  textRow('base', '=INDEX|FILE', 'base', 'delta: what it leads from', 'file'),
  textRow('format', '=NAME', 'format', 'Format of the result'),
  imageFlag('reverse', 'reverse', 'patch: back from the result to the base'),
  imageFlag('repair', 'repair', 'verify: replace what is damaged'),
  valueRow(
    'from',
    '=PLACE',
    'verify --repair: where good blocks are, repeatable',
    (options, value) => {
      options.from.push(value);
    },
    { values: 'file' },
  ),
  textRow('name', '=NAME', 'name', 'Name of a chain of versions'),
  textRow('at', '=VERSION', 'at', 'A version: -N, a date, a tag or an id'),
  ...KEEP_OPTIONS,
  textRow('backing', '=FILE', 'backing', 'export: the file that an overlay lies on', 'file'),
  imageFlag('stdio', 'stdio', 'serve: sessions on the standard streams'),
];
