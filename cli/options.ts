/**
 * The effective options of one run and their defaults (spec/command-line.md). How they are written on
 * the command line stands in option-table.ts.
 */
import type { DigestName } from '../formats/chunk-id.ts';
import { type ChunkSizes, DEFAULT_CHUNK_SIZES } from '../formats/chunk-sizes.ts';
import type { ChunkerName } from '../lib/chunking/scanner.ts';
import type { SyncMode } from '../lib/stores/store-description.ts';
import type { CodecName } from '../store/transforms.ts';
import { defaultImageOptions, type ImageOptions } from './image-settings.ts';
import { parseBoolean, parseDigest, parseLogLevel, type UidShiftOption } from './values.ts';

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
export interface Options extends ImageOptions {
  logLevel: number;
  /** Whether an option said so. */
  isLogLevelChosen: boolean;
  verbose: boolean;
  dryRun: boolean;
  store: string | undefined;
  extraStores: string[];
  chunkSizes: ChunkSizes;
  chunker: ChunkerName;
  seeds: string[];
  cache: string | undefined;
  cacheAuto: boolean;
  /** Bytes a second, over all connections to a place. */
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
  /** Results as JSON, one object a line. */
  json: boolean;
  /** Where progress goes as JSON lines: a descriptor. */
  progressDescriptor: number | undefined;
  /** Where the statistics of the run go as one JSON object: a descriptor. */
  statsDescriptor: number | undefined;
  /** Where the settings of places are, instead of the usual files. */
  config: string | undefined;
  /** A store on this machine that is filled with what is read from others. */
  cacheStore: string | undefined;
  /** The store that `copy` copies to. */
  to: string | undefined;
  /** `serve`, `serve-nbd`: ADDRESS:PORT. */
  listen: string | undefined;
  writable: boolean;
  tokenFile: string | undefined;
  tlsCertificate: string | undefined;
  tlsKey: string | undefined;
  clientCa: string | undefined;
  accessLog: string | undefined;
  /** Memory for chunks that were read, in bytes: `mount`, `mkdev`, `serve-nbd`. */
  readCache: number | undefined;
  /** `cat`: the range, in bytes. */
  offset: number | undefined;
  length: number | undefined;
  /** `serve-nbd`: path of a unix socket. */
  socket: string | undefined;
  exportName: string | undefined;
  /** `serve-nbd`, `mkdev`: the file that takes what is written. */
  cow: string | undefined;
}

/** The options of a run without any option, as the environment sets them. */
export function defaultOptions(environment: Readonly<Record<string, string | undefined>>): Options {
  const digest = parseDigest(environment.CASYNC_DIGEST ?? '');
  return {
    logLevel: parseLogLevel(environment.CASYNC_LOG_LEVEL ?? '') ?? 6,
    isLogLevelChosen: false,
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
    digest,
    compression: 'zstd',
    sync: 'group',
    json: false,
    progressDescriptor: undefined,
    statsDescriptor: undefined,
    config: undefined,
    cacheStore: undefined,
    to: undefined,
    listen: undefined,
    writable: false,
    tokenFile: undefined,
    tlsCertificate: undefined,
    tlsKey: undefined,
    clientCa: undefined,
    accessLog: undefined,
    readCache: undefined,
    offset: undefined,
    length: undefined,
    socket: undefined,
    exportName: undefined,
    cow: undefined,
    ...defaultImageOptions(digest),
  };
}
