/**
 * The contestants: for each program the commands that make something from an input and bring it
 * back. Used by the turns. All do the same work where they can: SHA-256, zstd level 3, every input
 * read in full, metadata kept; what differs is said in the notes, which the report prints.
 */
import { join } from 'node:path';
import { downloadProgram } from './download.ts';
import type { Command } from './measure.ts';

export type Kind = 'blob' | 'tree';

export type ServiceKind = 'mount' | 'nbd';

/** Where something is given away. */
export interface Service {
  readonly kind: ServiceKind;
  /** Mount point, a folder that is there; or path of the socket. */
  readonly path: string;
}

/** The folder that one contestant works in. */
export interface Place {
  /** Stores, indexes and caches: everything that later commands build on, and nothing else. */
  readonly state: string;
  /** Where results of extractions appear; empty before each. */
  readonly output: string;
  /** Locator of the store, where that is not a folder in `state`. */
  readonly store?: string;
}

export interface Job {
  readonly kind: Kind;
  /** Folder that holds the input. */
  readonly folder: string;
  /** Name of the input in it. */
  readonly name: string;
  /** What the result of make is called. */
  readonly snapshot: string;
  readonly cores: number;
  /** An older version that an extraction may use. */
  readonly old?: {
    readonly use: 'seed' | 'over';
    readonly path: string;
    /** What its make was called. */
    readonly snapshot: string;
  };
}

export interface Peer {
  readonly name: string;
  readonly note: string;
  /** Kinds of input that it takes. */
  readonly kinds: readonly Kind[];
  /** Whether it keeps chunks, so that a second make can know them. */
  readonly hasStore: boolean;
  /** Folders below `state` that must exist. */
  readonly folders: readonly string[];
  env?(place: Place): Readonly<Record<string, string>>;
  /** Not measured; makes an empty repository. */
  initialise?(path: string, place: Place): Command;
  make(path: string, job: Job, place: Place): Command;
  extract(path: string, job: Job, place: Place): Command;
  /** Where in `output` the result of extract is, for inputs that were called `name`. */
  result(job: Job): string;
  /** Its extract only reads: there is no result to check. */
  readonly hasNoResult?: boolean;
  /** Gives away what a make has made, until it is ended. */
  serve?(path: string, job: Job, place: Place, service: Service): Command;
  /** An index that must be the same as the indexes of the others, from this offset on. */
  index?(
    job: Job,
    place: Place,
  ): { readonly path: string; readonly fromOffset: number } | undefined;
}

const suffixOf = (kind: Kind): string => (kind === 'blob' ? 'caibx' : 'caidx');
const indexPath = (job: Job, place: Place): string =>
  join(place.state, `${job.snapshot}.${suffixOf(job.kind)}`);
const inputPath = (job: Job): string => join(job.folder, job.name);
const outputPath = (job: Job, place: Place): string => join(place.output, job.name);
const storeOf = (place: Place): string => place.store ?? join(place.state, 'store.castr');

/** The command line that the original and this project share. */
function casyncLike(
  name: string,
  note: string,
  program: (path: string) => readonly string[],
  { extraWords = [], overOld = [] }: { extraWords?: string[]; overOld?: string[] } = {},
): Peer {
  const oldOptions = ({ old }: Job): readonly string[] => {
    if (old === undefined) return [];
    return old.use === 'seed' ? [`--seed=${old.path}`] : overOld;
  };
  const options = (place: Place): readonly string[] => [
    '--digest=sha256',
    '--compression=zstd',
    ...extraWords,
    `--store=${storeOf(place)}`,
  ];
  return {
    name,
    note,
    kinds: ['blob', 'tree'],
    hasStore: true,
    folders: [],
    make: (path, job, place) => ({
      words: [...program(path), ...options(place), 'make', indexPath(job, place), inputPath(job)],
    }),
    extract: (path, job, place) => ({
      words: [
        ...program(path),
        ...options(place),
        ...oldOptions(job),
        'extract',
        indexPath(job, place),
        outputPath(job, place),
      ],
    }),
    serve: (path, job, place, service) => {
      const index = indexPath(job, place);
      const words =
        service.kind === 'mount'
          ? ['mount', index, service.path]
          : [`--socket=${service.path}`, 'serve-nbd', index];
      return { words: [...program(path), ...options(place), ...words] };
    },
    result: ({ name: input }) => input,
    index: (job, place) => ({ path: indexPath(job, place), fromOffset: 0 }),
  };
}

const withNode = (path: string): readonly string[] => [process.execPath, path];

/** It needs the index of a seed. */
function desyncSeed({ old }: Job, place: Place): readonly string[] {
  if (old === undefined) return [];
  const index = join(place.state, `${old.snapshot}.caibx`);
  return old.use === 'seed' ? ['--seed', `${index}:${old.path}`] : ['--in-place'];
}

const desync: Peer = {
  name: 'desync',
  note:
    'make and extract for images; tar -i and untar -i for trees, those with its default digest, ' +
    'because untar refuses the SHA-256 indexes of its tar. Never syncs',
  kinds: ['blob', 'tree'],
  hasStore: true,
  folders: ['store.castr'],
  make: (path, job, place) => ({
    words: [
      path,
      ...(job.kind === 'blob' ? ['--digest', 'sha256', 'make'] : ['tar', '-i']),
      ...['-n', `${job.cores}`, '-s', storeOf(place)],
      indexPath(job, place),
      inputPath(job),
    ],
  }),
  extract: (path, job, place) => ({
    words: [
      path,
      ...(job.kind === 'blob' ? ['--digest', 'sha256', 'extract'] : ['untar', '-i']),
      ...['-n', `${job.cores}`, '-s', storeOf(place)],
      ...desyncSeed(job, place),
      indexPath(job, place),
      // untar wants a folder that exists.
      job.kind === 'blob' ? outputPath(job, place) : place.output,
    ],
  }),
  result: ({ kind, name }) => (kind === 'blob' ? name : '.'),
  // It sets other feature flags, in the first 24 bytes; the chunks must be the same.
  index: (job, place) =>
    job.kind === 'blob' ? { path: indexPath(job, place), fromOffset: 24 } : undefined,
};

const archivePath = (job: Job, place: Place): string =>
  join(place.state, `${job.snapshot}.archive`);

function tarLike(job: Job, place: Place, compress: readonly string[], restore: string[]) {
  const archive = archivePath(job, place);
  // The posix format keeps nanoseconds, as all others do.
  const make = ['-c', '--format=posix', ...compress, '-f', archive, '-C', job.folder, job.name];
  const extract = ['-x', '-p', ...restore, '-f', archive, '-C', place.output];
  return { make, extract };
}

const zstd: Peer = {
  name: 'zstd',
  note:
    'zstd -3 on all cores, for trees behind tar; no chunks, nothing is known again: what ' +
    'compression alone costs. Never syncs',
  kinds: ['blob', 'tree'],
  hasStore: false,
  folders: [],
  make: (path, job, place) => {
    const compress = [`--use-compress-program=${path} -3 -T${job.cores}`];
    if (job.kind === 'tree') return { words: ['tar', ...tarLike(job, place, compress, []).make] };
    const options = ['-q', '-3', `-T${job.cores}`, '-o', archivePath(job, place)];
    return { words: [path, ...options, inputPath(job)] };
  },
  extract: (path, job, place) => {
    const restore = [`--use-compress-program=${path}`];
    if (job.kind === 'tree') return { words: ['tar', ...tarLike(job, place, [], restore).extract] };
    const options = ['-q', '-d', '-o', outputPath(job, place)];
    return { words: [path, ...options, archivePath(job, place)] };
  },
  result: ({ name }) => name,
};

const tar: Peer = {
  name: 'tar',
  note: 'one file, nothing compressed: what reading and writing the tree costs. Never syncs',
  kinds: ['tree'],
  hasStore: false,
  folders: [],
  make: (path, job, place) => ({ words: [path, ...tarLike(job, place, [], []).make] }),
  extract: (path, job, place) => ({ words: [path, ...tarLike(job, place, [], []).extract] }),
  result: ({ name }) => name,
};

const borg: Peer = {
  name: 'borg',
  note:
    'no encryption, zstd,3, its own larger chunks; its cache of unchanged files is off, so that ' +
    'it reads everything like the others. Syncs',
  kinds: ['blob', 'tree'],
  hasStore: true,
  folders: [],
  env: ({ state }) => ({
    BORG_BASE_DIR: join(state, 'base'),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  }),
  initialise: (path, { state }) => ({
    words: [path, 'init', '--encryption=none', join(state, 'repository')],
  }),
  make: (path, job, { state }) => ({
    words: [
      ...[path, 'create', '--compression=zstd,3', '--files-cache=disabled'],
      `${join(state, 'repository')}::${job.snapshot}`,
      job.name,
    ],
    cwd: job.folder,
  }),
  extract: (path, job, { state, output }) => ({
    words: [path, 'extract', '--sparse', `${join(state, 'repository')}::${job.snapshot}`],
    cwd: output,
  }),
  result: ({ name }) => name,
};

const restic: Peer = {
  name: 'restic',
  note:
    'encrypts, its own larger chunks, its default zstd; --force, so that it reads everything ' +
    'like the others; does not write holes. Syncs',
  kinds: ['blob', 'tree'],
  hasStore: true,
  folders: [],
  env: ({ state }) => ({ RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(state, 'cache') }),
  initialise: (path, { state }) => ({ words: [path, '-r', join(state, 'repository'), 'init'] }),
  make: (path, job, { state }) => ({
    words: [
      ...[path, '-q', '-r', join(state, 'repository'), 'backup', '--force'],
      ...['--tag', job.snapshot, job.name],
    ],
    cwd: job.folder,
  }),
  extract: (path, job, { state, output }) => ({
    words: [
      ...[path, '-q', '-r', join(state, 'repository'), 'restore', 'latest'],
      ...['--tag', job.snapshot, '--target', output],
    ],
  }),
  result: ({ name }) => name,
};

const ours = casyncLike('ours', 'this project; syncs chunks in groups and the index', withNode);

/** Takes the place of a contestant where there is a store in a bucket. */
const download: Peer = {
  ...ours,
  name: 'download',
  note: 'our own S3 client gets all objects of a store, 64 at a time, and drops them',
  kinds: ['blob'],
  extract: (_path, _job, place) => ({
    words: [process.execPath, downloadProgram(), storeOf(place)],
  }),
  hasNoResult: true,
};

/** Gives away the file itself: what the protocol costs. */
const qemuNbd: Peer = {
  name: 'qemu-nbd',
  note: 'the file itself as a block device; no chunks, nothing to decompress or to verify',
  kinds: ['blob'],
  hasStore: false,
  folders: [],
  // Nothing is to be made: no step asks for it.
  make: () => ({ words: ['false'] }),
  extract: () => ({ words: ['false'] }),
  hasNoResult: true,
  serve: (path, job, _place, service) => ({
    words: [
      ...[path, '--read-only', '--persistent', '--shared=16', '--format=raw'],
      ...[`--socket=${service.path}`, inputPath(job)],
    ],
  }),
  result: ({ name }) => name,
};

/** All contestants, in the order of the report. */
export const PEERS: readonly Peer[] = [
  ours,
  casyncLike('ours-nosync', 'this project with --sync=none', withNode, {
    extraWords: ['--sync=none'],
  }),
  casyncLike(
    'casync',
    'the original. Over an old file without reflinks, which fail there',
    (path) => [path],
    {
      overOld: ['--reflink=no'],
    },
  ),
  desync,
  zstd,
  tar,
  borg,
  restic,
  download,
  qemuNbd,
];
