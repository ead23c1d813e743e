/**
 * The one table of command line options: names, help text, values and how they are read
 * (spec/command-line.md). Everything that lists options (getopt, help, completion, tests) reads it.
 */
import { parseChunkSizes } from '../formats/chunk-sizes.ts';
import { CasError } from '../formats/errors.ts';
import { FEATURE_GROUP_NAMES, FEATURE_NAMES, parseFeature } from '../formats/feature-flags.ts';
import { parseSize } from '../formats/size.ts';
import { DEVICE_OPTIONS } from './device-options.ts';
import { BLAKE2B, IMAGE_OPTIONS } from './image-options.ts';
import {
  answerRow,
  BOOLEAN_WORDS,
  booleanRow,
  flagRow,
  known,
  type OptionRow,
  oneOf,
  own,
  refuse,
  valueRow,
} from './option-row.ts';
import { KINDS } from './options.ts';
import { REMOTE_OPTIONS } from './remote-options.ts';
import {
  CHUNKER_NAMES,
  COMPRESSION_NAMES,
  DIGEST_NAMES,
  LOG_LEVEL_NAMES,
  parseDescriptor,
  parseDigest,
  parseLogLevel,
  parseUidRange,
  parseUidShift,
  SYNC_MODES,
} from './values.ts';

function featureRow(long: 'with' | 'without', help: string): OptionRow {
  return {
    long,
    takesValue: true,
    metavar: '=FEATURE',
    help,
    values: [...FEATURE_GROUP_NAMES, ...FEATURE_NAMES.map(([name]) => name), 'help'],
    apply: (options, value) => {
      if (value === 'help') return 'features';
      const flag = parseFeature(value);
      if (flag === undefined) throw refuse(`Failed to parse --${long}= feature flag: ${value}`);
      options[long] |= flag;
      return undefined;
    },
  };
}

function readRateLimit(value: string): number {
  try {
    const limit = parseSize(value);
    if (limit > 0) return limit;
  } catch (error) {
    const reason = error instanceof CasError ? error.reason : 'Invalid argument';
    throw refuse(`Unable to parse rate limit ${value}: ${reason}`);
  }
  throw refuse('Rate limit size cannot be zero.');
}

const LOG_LEVEL = valueRow(
  'log-level',
  '=LEVEL',
  'Show messages up to this level (0-7 or a name)',
  (options, value) => {
    const level = parseLogLevel(value);
    if (level === undefined) throw refuse(`Failed to parse log level "${value}": Invalid argument`);
    options.logLevel = level;
    options.isLogLevelChosen = true;
  },
  { short: 'l', values: LOG_LEVEL_NAMES },
);

const WHAT: OptionRow = {
  ...valueRow('what', '=KIND', 'Kind of the output or input, instead of its suffix', () => {}),
  values: [...KINDS, 'help'],
  apply: (options, value) => {
    if (value === 'help') return 'what';
    const kind = KINDS.find((candidate) => candidate === value);
    if (!kind) throw refuse(`Failed to parse --what= selector: ${value}`);
    options.what = kind;
    return undefined;
  },
};

/** The options of casync 2 in its declaration order, which is that of getopt's "possibilities". */
const ORIGINAL_OPTIONS: readonly OptionRow[] = [
  answerRow('help', 'Show this help', 'help', { short: 'h' }),
  answerRow('version', 'Show the version', 'version'),
  LOG_LEVEL,
  flagRow(
    'verbose',
    'Say more about what is being done',
    (o) => {
      o.verbose = true;
    },
    {
      short: 'v',
    },
  ),
  flagRow(
    'dry-run',
    'gc: only say what would be removed',
    (o) => {
      o.dryRun = true;
    },
    {
      short: 'n',
    },
  ),
  valueRow(
    'store',
    '=PATH',
    'The chunk store to write to and read from',
    (o, v) => {
      o.store = v;
    },
    { values: 'folder' },
  ),
  valueRow(
    'extra-store',
    '=PATH',
    'A further store to read from, repeatable',
    (o, v) => {
      o.extraStores.push(v);
    },
    { values: 'folder' },
  ),
  valueRow(
    'chunk-size',
    '=[MIN:]AVG[:MAX]',
    'Chunk sizes: AVG, MIN:AVG:MAX, or auto',
    (o, v) => {
      o.chunkSizes = parseChunkSizes(v);
    },
    { values: ['auto'] },
  ),
  valueRow(
    'seed',
    '=PATH',
    'File, device or directory whose data may serve as chunks, repeatable',
    (o, v) => {
      o.seeds.push(v);
    },
    { values: 'file' },
  ),
  valueRow(
    'cache',
    '=PATH',
    'Directory that remembers what did not change since the last make',
    (o, v) => {
      o.cache = v;
    },
    { values: 'folder' },
  ),
  flagRow(
    'cache-auto',
    'The same in INPUT/.cacac',
    (o) => {
      o.cacheAuto = true;
    },
    {
      short: 'c',
    },
  ),
  valueRow(
    'rate-limit-bps',
    '=SIZE',
    'Bytes a second to and from remote stores; local ones have no limit',
    (o, v) => {
      o.rateLimitBps = readRateLimit(v);
    },
  ),
  featureRow('with', 'Record or restore only this feature, repeatable'),
  featureRow('without', 'Leave this feature out, repeatable'),
  WHAT,
  booleanRow('exclude-nodump', 'excludeNodump', 'Leave out what has the chattr d flag (yes)'),
  booleanRow('exclude-submounts', 'excludeSubmounts', 'Leave out other mounts (no)'),
  booleanRow('exclude-file', 'excludeFile', 'Honour .caexclude files (yes)'),
  booleanRow('undo-immutable', 'undoImmutable', 'Clear chattr i where it is in the way (no)'),
  booleanRow('delete', 'delete', 'Remove what the archive lacks from the target (yes)'),
  booleanRow('punch-holes', 'punchHoles', 'Write zeroes as holes (yes)'),
  booleanRow('reflink', 'reflink', 'Share blocks with seeds where that is possible (yes)'),
  booleanRow('hardlink', 'hardlink', 'Link whole files from seeds (no)'),
  booleanRow('seed-output', 'seedOutput', 'What is at the output already is a seed (yes)'),
  valueRow(
    'uid-shift',
    '=BOOL|N',
    'Shift numeric owners by N',
    (o, v) => {
      o.uidShift = { ...o.uidShift, ...known(parseUidShift(v), 'uid-shift', v) };
    },
    { values: BOOLEAN_WORDS },
  ),
  valueRow(
    'uid-range',
    '=BOOL|N',
    'Size of the range of owners (65536)',
    (o, v) => {
      o.uidShift = { ...o.uidShift, ...known(parseUidRange(v), 'uid-range', v) };
    },
    { values: BOOLEAN_WORDS },
  ),
  booleanRow('recursive', 'recursive', 'List more than the first level (yes)'),
  booleanRow('mkdir', 'mkdir', 'mount: create a missing mount point (yes)'),
  valueRow(
    'digest',
    '=NAME',
    'Digest: sha256 or sha512-256; for maps also blake2b-256',
    (o, v) => {
      o.digest = v === BLAKE2B ? undefined : parseDigest(oneOf(DIGEST_NAMES, 'digest', v));
      o.mapDigest = v === BLAKE2B ? BLAKE2B : o.digest;
    },
    { values: [...DIGEST_NAMES, BLAKE2B] },
  ),
  valueRow(
    'compression',
    '=NAME',
    'Compression of new chunks: zstd, xz or gzip',
    (o, v) => {
      const name = oneOf(COMPRESSION_NAMES, 'compression', v);
      o.compression = name === 'default' ? 'zstd' : name;
    },
    { values: COMPRESSION_NAMES },
  ),
];

const OWN_OPTIONS: readonly OptionRow[] = [
  valueRow(
    'chunker',
    '=NAME',
    'Where to cut: buzhash (default) or fastcdc',
    (o, v) => {
      o.chunker = oneOf(CHUNKER_NAMES, 'chunker', v);
    },
    { values: CHUNKER_NAMES },
  ),
  valueRow(
    'sync',
    '=MODE',
    'Make new chunks durable: group (default) or none',
    (o, v) => {
      o.sync = oneOf(SYNC_MODES, 'sync', v);
    },
    { values: SYNC_MODES },
  ),
  flagRow('json', 'Print results as JSON, one object a line', (o) => {
    o.json = true;
  }),
  valueRow(
    'progress',
    '=json[:FD]',
    'Report progress as JSON lines on descriptor FD (2)',
    (o, v) => {
      o.progressDescriptor = known(parseDescriptor(v), 'progress', v);
    },
    { values: ['json'] },
  ),
  valueRow(
    'stats',
    '=json[:FD]',
    'Report statistics as JSON on descriptor FD (2) in the end',
    (o, v) => {
      o.statsDescriptor = known(parseDescriptor(v), 'stats', v);
    },
    { values: ['json'] },
  ),
];

export const OPTION_TABLE: readonly OptionRow[] = [
  ...ORIGINAL_OPTIONS,
  ...[...OWN_OPTIONS, ...REMOTE_OPTIONS, ...DEVICE_OPTIONS, ...IMAGE_OPTIONS].map(own),
];
