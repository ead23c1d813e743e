/**
 * The one table of command line options: names, help text and how a value is read
 * (spec/command-line.md). Everything that lists options (getopt, help, tests) reads this table.
 */
import type { DigestName } from '../formats/chunk-id.ts';
import { type ChunkSizes, DEFAULT_CHUNK_SIZES, parseChunkSizes } from '../formats/chunk-sizes.ts';
import { CasError } from '../formats/errors.ts';
import { parseFeature } from '../formats/feature-flags.ts';
import { parseSize } from '../formats/size.ts';
import type { ChunkerName } from '../lib/chunking/scanner-choice.ts';
import type { SyncMode } from '../lib/local-store.node.ts';
import type { CodecName } from '../store/transforms.ts';
import type { OptionShape } from './getopt.ts';
import {
  parseBoolean,
  parseLogLevel,
  parseUidRange,
  parseUidShift,
  type UidShiftOption,
} from './values.ts';

/** What a `--what=` value or a name's suffix says a thing is. */
export type Kind = 'archive' | 'archive-index' | 'blob' | 'blob-index' | 'directory';

export const KINDS: readonly Kind[] = [
  'archive',
  'archive-index',
  'blob',
  'blob-index',
  'directory',
];

/** The effective options of one run. */
export interface Options {
  logLevel: number;
  verbose: boolean;
  dryRun: boolean;
  store: string | undefined;
  extraStores: string[];
  chunkSizes: ChunkSizes;
  chunker: ChunkerName;
  seeds: string[];
  cache: string | undefined;
  cacheAuto: boolean;
  rateLimitBps: number | undefined;
  /** All `--with=` together; 0n without any. */
  with: bigint;
  without: bigint;
  what: Kind | undefined;
  excludeNodump: boolean;
  excludeSubmounts: boolean;
  excludeFile: boolean;
  undoImmutable: boolean;
  delete: boolean;
  punchHoles: boolean;
  reflink: boolean;
  hardlink: boolean;
  seedOutput: boolean;
  uidShift: UidShiftOption;
  recursive: boolean;
  mkdir: boolean;
  /** Undefined where neither `--digest` nor `CASYNC_DIGEST` says anything. */
  digest: DigestName | undefined;
  compression: CodecName;
  sync: SyncMode;
  fsync: boolean;
  /** Results as JSON, one object a line. */
  json: boolean;
  /** Where progress goes as JSON lines: a descriptor. */
  progressDescriptor: number | undefined;
  /** Where the statistics of the run go as one JSON object: a descriptor. */
  statsDescriptor: number | undefined;
}

/** Raised by options that answer instead of working; the text goes to stdout, status 0. */
export type Answer = 'help' | 'version' | 'what' | 'features';

export interface OptionRow extends OptionShape {
  /** How the value is shown in the help, for example `=PATH`. */
  readonly metavar?: string;
  readonly help: string;
  /** Reads the value into `options`; returns what is to be answered at once, if anything. */
  readonly apply: (options: Options, value: string) => Answer | undefined;
}

/** The options of a run without any option, as the environment sets them. */
export function defaultOptions(environment: Readonly<Record<string, string | undefined>>): Options {
  return {
    logLevel: parseLogLevel(environment.CASYNC_LOG_LEVEL ?? '') ?? 6,
    verbose: parseBoolean(environment.CASYNC_VERBOSE ?? '') ?? false,
    dryRun: false,
    store: undefined,
    extraStores: [],
    chunkSizes: DEFAULT_CHUNK_SIZES,
    chunker: 'buzhash',
    seeds: [],
    cache: undefined,
    cacheAuto: false,
    rateLimitBps: undefined,
    with: 0n,
    without: 0n,
    what: undefined,
    excludeNodump: true,
    excludeSubmounts: false,
    excludeFile: true,
    undoImmutable: false,
    delete: true,
    punchHoles: true,
    reflink: true,
    hardlink: false,
    seedOutput: true,
    uidShift: { enabled: false, shift: 0, range: 65536 },
    recursive: true,
    mkdir: true,
    digest: environment.CASYNC_DIGEST ? readDigest(environment.CASYNC_DIGEST) : undefined,
    compression: 'zstd',
    sync: 'group',
    fsync: false,
    json: false,
    progressDescriptor: undefined,
    statsDescriptor: undefined,
  };
}

const STDERR = 2;

function refuse(reason: string): CasError {
  return new CasError('USAGE', { reason });
}

function badParameter(name: string, value: string): CasError {
  return refuse(`Failed to parse --${name}= parameter: ${value}`);
}

function readDigest(value: string): DigestName | undefined {
  if (value === 'default') return undefined;
  if (value === 'sha256' || value === 'sha512-256') return value;
  throw badParameter('digest', value);
}

function readCompression(value: string): CodecName {
  if (value === 'default') return 'zstd';
  if (value === 'zstd' || value === 'xz' || value === 'gzip') return value;
  throw badParameter('compression', value);
}

function readChunker(value: string): ChunkerName {
  if (value === 'buzhash' || value === 'fastcdc') return value;
  throw badParameter('chunker', value);
}

function readSync(value: string): SyncMode {
  if (value === 'group' || value === 'none') return value;
  throw badParameter('sync', value);
}

function readJsonDescriptor(name: string, value: string): number {
  const match = /^json(?::(\d{1,4}))?$/.exec(value);
  if (!match) throw badParameter(name, value);
  return match[1] === undefined ? STDERR : Number(match[1]);
}

function readFeature(name: 'with' | 'without', value: string): bigint {
  const flag = parseFeature(value);
  if (flag === undefined) throw refuse(`Failed to parse --${name}= feature flag: ${value}`);
  return flag;
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

type BooleanField = {
  [K in keyof Options]: Options[K] extends boolean ? K : never;
}[keyof Options];

function booleanRow(long: string, field: BooleanField, help: string): OptionRow {
  return {
    long,
    takesValue: true,
    metavar: '=BOOL',
    help,
    apply: (options, value) => {
      const parsed = parseBoolean(value);
      if (parsed === undefined) throw badParameter(long, value);
      options[field] = parsed;
      return undefined;
    },
  };
}

type Setter = (options: Options, value: string) => void;

function flagRow(long: string, short: string | undefined, help: string, set: Setter): OptionRow {
  return { ...valueRow(long, '', help, set), takesValue: false, ...(short ? { short } : {}) };
}

function valueRow(long: string, metavar: string, help: string, set: Setter): OptionRow {
  return {
    long,
    takesValue: true,
    metavar,
    help,
    apply: (options, value) => {
      set(options, value);
      return undefined;
    },
  };
}

/** An option that casync 2 does not have. */
function ownRow(long: string, metavar: string, help: string, set: Setter): OptionRow {
  return { ...valueRow(long, metavar, help, set), neverShortened: true };
}

function answerRow(
  long: string,
  short: string | undefined,
  help: string,
  answer: Answer,
): OptionRow {
  return { ...flagRow(long, short, help, () => {}), apply: () => answer };
}

function featureRow(long: 'with' | 'without', help: string): OptionRow {
  return {
    long,
    takesValue: true,
    metavar: '=FEATURE',
    help,
    apply: (options, value) => {
      if (value === 'help') return 'features';
      const flag = readFeature(long, value);
      options[long] |= flag;
      return undefined;
    },
  };
}

/** In declaration order, which is the order of getopt's "possibilities". */
export const OPTION_TABLE: readonly OptionRow[] = [
  answerRow('help', 'h', 'Show this help', 'help'),
  answerRow('version', undefined, 'Show the version', 'version'),
  {
    ...valueRow('log-level', '=LEVEL', 'Show messages up to this level (0-7 or a name)', (o, v) => {
      const level = parseLogLevel(v);
      if (level === undefined) throw refuse(`Failed to parse log level "${v}": Invalid argument`);
      o.logLevel = level;
    }),
    short: 'l',
  },
  flagRow('verbose', 'v', 'Say more about what is being done', (o) => {
    o.verbose = true;
  }),
  flagRow('dry-run', 'n', 'No effect yet: only say what would be removed', (o) => {
    o.dryRun = true;
  }),
  valueRow('store', '=PATH', 'The chunk store to write to and read from', (o, v) => {
    o.store = v;
  }),
  valueRow('extra-store', '=PATH', 'A further store to read from, repeatable', (o, v) => {
    o.extraStores.push(v);
  }),
  valueRow('chunk-size', '=[MIN:]AVG[:MAX]', 'Chunk sizes: AVG, MIN:AVG:MAX, or auto', (o, v) => {
    o.chunkSizes = parseChunkSizes(v);
  }),
  ownRow('chunker', '=NAME', 'Where to cut: buzhash (default) or fastcdc', (o, v) => {
    o.chunker = readChunker(v);
  }),
  valueRow('digest', '=NAME', 'Digest: sha256 or sha512-256', (o, v) => {
    o.digest = readDigest(v);
  }),
  valueRow('compression', '=NAME', 'Compression of new chunks: zstd, xz or gzip', (o, v) => {
    o.compression = readCompression(v);
  }),
  ownRow('sync', '=MODE', 'Make new chunks durable: group (default) or none', (o, v) => {
    o.sync = readSync(v);
  }),
  {
    ...flagRow('fsync', undefined, 'Wait until what was extracted is on disk', (o) => {
      o.fsync = true;
    }),
    neverShortened: true,
  },
  {
    ...flagRow('json', undefined, 'Print results as JSON, one object a line', (o) => {
      o.json = true;
    }),
    neverShortened: true,
  },
  ownRow('progress', '=json[:FD]', 'Report progress as JSON lines on FD (2)', (o, v) => {
    o.progressDescriptor = readJsonDescriptor('progress', v);
  }),
  ownRow('stats', '=json[:FD]', 'Report statistics as JSON on FD (2) in the end', (o, v) => {
    o.statsDescriptor = readJsonDescriptor('stats', v);
  }),
  valueRow('seed', '=PATH', 'No effect yet: data that may serve as chunks', (o, v) => {
    o.seeds.push(v);
  }),
  valueRow('cache', '=PATH', 'Not available yet: directory of the encoder cache', (o, v) => {
    o.cache = v;
  }),
  flagRow('cache-auto', 'c', 'Not available yet: encoder cache in INPUT/.cacac', (o) => {
    o.cacheAuto = true;
  }),
  valueRow('rate-limit-bps', '=SIZE', 'No effect yet: bound of the transfer rate', (o, v) => {
    o.rateLimitBps = readRateLimit(v);
  }),
  featureRow('with', 'Record or restore only this feature, repeatable'),
  featureRow('without', 'Leave this feature out, repeatable'),
  {
    ...valueRow('what', '=KIND', 'Kind of the output or input, instead of its suffix', () => {}),
    apply: (options, value) => {
      if (value === 'help') return 'what';
      const kind = KINDS.find((candidate) => candidate === value);
      if (!kind) throw refuse(`Failed to parse --what= selector: ${value}`);
      options.what = kind;
      return undefined;
    },
  },
  booleanRow('exclude-nodump', 'excludeNodump', 'Leave out what has the chattr d flag (yes)'),
  booleanRow('exclude-submounts', 'excludeSubmounts', 'Leave out other mounts (no)'),
  booleanRow('exclude-file', 'excludeFile', 'Honour .caexclude files (yes)'),
  booleanRow('undo-immutable', 'undoImmutable', 'Clear chattr i where it is in the way (no)'),
  booleanRow('delete', 'delete', 'Remove what the archive lacks from the target (yes)'),
  booleanRow('punch-holes', 'punchHoles', 'Write zeroes as holes (yes)'),
  booleanRow('reflink', 'reflink', 'No effect yet: clone blocks from seeds (yes)'),
  booleanRow('hardlink', 'hardlink', 'Not available yet: link files from seeds (no)'),
  booleanRow('seed-output', 'seedOutput', 'No effect yet: the old output is a seed (yes)'),
  valueRow('uid-shift', '=BOOL|N', 'Shift numeric owners by N', (o, v) => {
    const parsed = parseUidShift(v);
    if (parsed === undefined) throw badParameter('uid-shift', v);
    o.uidShift = { ...o.uidShift, ...parsed };
  }),
  valueRow('uid-range', '=BOOL|N', 'Size of the range of owners (65536)', (o, v) => {
    const parsed = parseUidRange(v);
    if (parsed === undefined) throw badParameter('uid-range', v);
    o.uidShift = { ...o.uidShift, ...parsed };
  }),
  booleanRow('recursive', 'recursive', 'List more than the first level (yes)'),
  booleanRow('mkdir', 'mkdir', 'No effect yet: create a mount point (yes)'),
];
