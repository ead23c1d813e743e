/** `extract` of the library: a tree or a blob comes back (spec/api.md, "extract"). */
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CatarEvent, EnterEvent } from '../../formats/catar-events.ts';
import { PipelineError } from '../errors.ts';
import type { RunRestore } from '../extract/batch-sink.node.ts';
import { extractBlob } from '../extract/blob.node.ts';
import { newTally } from '../extract/tally.ts';
import { TreeExtractor } from '../extract/tree.node.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { syncFileSystemOf } from '../os/file-system.node.ts';
import { LinkFiles } from '../seed/link-files.node.ts';
import { type ExtractStatistics, NO_CHUNKS } from '../statistics.ts';
import { defaultThreadCount, openJobPool, WORTH_THREADS } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { indexPath } from './behind-index.node.ts';
import { type EntryEvents, entriesThenFeatures } from './entries.ts';
import { type FeatureMask, shownFlags } from './features.ts';
import { chunksWith, type OpenedInput, openInput, readIndex } from './input.node.ts';
import { kindOfPath, type MadeKind } from './kinds.ts';
import type { InputOptions, SeedOptions, StoreOptions } from './options.ts';
import { describeStoresForReading } from './stores.node.ts';
import { joinPaths, lastName, parentPath, type Subtree, subtreePath } from './subtree.ts';
import { type ArchiveTree, forEachEvent, openArchive } from './tree.node.ts';

export interface ExtractOptions
  extends InputOptions,
    StoreOptions,
    SeedOptions,
    FeatureMask,
    EntryEvents {
  /** Path of a folder, or of a file or device for blobs; or a descriptor open for writing a blob. */
  readonly output: string | number;
  /** By default what the suffix of the input says; else an index, of what the output is. */
  readonly kind?: MadeKind;
  /** One object of a tree: it appears in `output` under its last name, and all else there stays. */
  readonly subtree?: Subtree;
  /** What an index is extracted over is a seed, too; default true. */
  readonly seedOutput?: boolean;
  /** Share blocks with seeds where the file system can; default true. */
  readonly reflink?: boolean;
  /** Make files links to equal ones of seeds; default false. */
  readonly hardlink?: boolean;
  /** Remove what an existing folder holds besides the tree; default true. */
  readonly delete?: boolean;
  /** Clear the chattr flag of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave holes where there are zeros; default true. */
  readonly punchHoles?: boolean;
  readonly uidShift?: UidShift;
  /** Wait until the result is on disk; default false. */
  readonly fsync?: boolean;
}

export interface ExtractResult {
  readonly kind: MadeKind;
  readonly statistics: ExtractStatistics;
}

/**
 * Extracts an archive, an archive index or a blob index. Entries of a tree are replaced one by one,
 * each as a whole; a blob as a whole, or in place on a device.
 * @throws CasError `USAGE` where kind and output do not fit, `NOT_IN_ARCHIVE`, `ABORTED`, and what
 * reading and writing throw
 */
export async function extract(options: ExtractOptions): Promise<ExtractResult> {
  const kind = kindToExtract(options);
  const subtree = subtreePath(options.subtree);
  if (subtree.length > 0 && kind === 'blob-index') {
    throw refuse('Subtree path only supported when extracting archive or archive index.');
  }
  const input = openInput(options);
  try {
    if (kind === 'blob-index') return { kind, statistics: await extractToBlob(input, options) };
    const { output } = options;
    if (typeof output === 'number') throw refuse('An archive cannot be extracted to a stream.');
    const started = performance.now();
    const tree = await openArchive(input, kind, {
      ...options,
      ...oldTree(options, output, subtree),
    });
    const done = await extractTree(tree, output, subtree, options);
    return { kind, statistics: { ...done, totalMs: performance.now() - started } };
  } finally {
    input.close();
  }
}

function refuse(reason: string): PipelineError {
  return new PipelineError('USAGE', { reason });
}

/** @throws PipelineError `USAGE` if the output cannot take what is wanted */
function kindToExtract({ kind, input, output }: ExtractOptions): MadeKind {
  const wanted = kind ?? kindOfPath(input);
  const existing = typeof output === 'string' ? statsOf(output) : undefined;
  if (existing?.isDirectory()) {
    if (wanted !== 'blob-index') return wanted ?? 'archive-index';
    throw refuse('Output is a directory, but attempted to extract blob index. Refusing.');
  }
  if (existing && wanted !== undefined && wanted !== 'blob-index') {
    throw refuse('Output is a regular file or block device, but attempted to extract an archive.');
  }
  if (wanted !== undefined) return wanted;
  if (existing || typeof output === 'number') return 'blob-index';
  throw refuse("Couldn't figure out what to extract; the kind must be named.");
}

/** What will be replaced, if it is a folder and may be a seed. */
function oldTree(
  { seedOutput = true }: ExtractOptions,
  output: string,
  subtree: Uint8Array,
): { readonly oldTree?: string } {
  const old =
    subtree.length === 0 ? output : join(output, Buffer.from(lastName(subtree)).toString());
  return seedOutput && statsOf(old)?.isDirectory() ? { oldTree: old } : {};
}

/** Of what is at the output now. */
function statsOf(output: string): Stats | undefined {
  return statSync(output, { throwIfNoEntry: false });
}

async function extractToBlob(
  input: OpenedInput,
  options: ExtractOptions,
): Promise<ExtractStatistics> {
  const { seeds = [], seedOutput = true, reflink = true, punchHoles = true } = options;
  const { fsync = false, threadCount = defaultThreadCount(), chunker } = options;
  const { signal, onProgress } = options;
  const index = await readIndex(input, options);
  return extractBlob(index, options.output, {
    sources: describeStoresForReading(options, indexPath(options), index.digest, chunksWith(input)),
    seeds,
    onSeedFailure: options.onSeedFailure ?? (() => {}),
    seedOutput,
    reflink,
    punchHoles,
    durable: fsync,
    threadCount,
    ...(chunker ? { chunker } : {}),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
}

interface Restoring {
  readonly output: string;
  readonly subtree: Uint8Array;
  readonly featureFlags: bigint;
  readonly run: RunRestore;
  /** What files can be links to. */
  readonly links: LinkFiles | undefined;
}

function openExtractor(
  { output, subtree, featureFlags, run, links }: Restoring,
  options: ExtractOptions,
): TreeExtractor {
  const { uidShift, undoImmutable = false, punchHoles = true, reflink = true } = options;
  const onEntry = entriesThenFeatures(options, featureFlags, parentPath(subtree));
  return new TreeExtractor(output, {
    run,
    replayFlags: shownFlags(featureFlags, options),
    deleteExtra: options.delete ?? true,
    undoImmutable,
    punchHoles,
    reflink,
    ...(onEntry ? { onEntry } : {}),
    ...(uidShift ? { uidShift } : {}),
    ...(subtree.length > 0 ? { entryName: lastName(subtree) } : {}),
    ...(links ? { linkFrom: (path, node) => links.find(joinPaths(subtree, path), node) } : {}),
  });
}

/** Looks at the files of the seeds that are folders, if files shall be links to them. */
async function openLinks(
  featureFlags: bigint,
  { hardlink = false, seeds = [], uidShift, signal }: ExtractOptions,
): Promise<LinkFiles | undefined> {
  if (!hardlink) return undefined;
  const more = { ...(uidShift ? { uidShift } : {}), ...(signal ? { signal } : {}) };
  const links = new LinkFiles({ featureFlags, ...more });
  for (const seed of seeds) await links.addFolder(seed);
  return links;
}

/** Where entries are restored: where the chunks are fetched, or else in threads of their own. */
function openPool(tree: ArchiveTree, { threadCount }: ExtractOptions): JobPool {
  if (tree.pool !== undefined) return tree.pool;
  const pool = openJobPool({}, threadCount ?? defaultThreadCount());
  if ((tree.source.size ?? Number.POSITIVE_INFINITY) >= WORTH_THREADS) pool.start();
  return pool;
}

/** Restores what lies within `subtree`; nothing is made before that is found in the archive. */
async function extractTree(
  tree: ArchiveTree,
  output: string,
  subtree: Uint8Array,
  options: ExtractOptions,
): Promise<Omit<ExtractStatistics, 'totalMs'>> {
  const pool = openPool(tree, options);
  const run: RunRestore = (input) => pool.run('restoreEntries', input);
  let extractor: TreeExtractor | undefined;
  let links: LinkFiles | undefined;
  const begin = async (event: EnterEvent): Promise<void> => {
    const { featureFlags } = event.node;
    links = await openLinks(featureFlags, options);
    extractor = openExtractor({ output, subtree, featureFlags, run, links }, options);
    await extractor.handle(event);
  };
  const handle = (event: CatarEvent): Promise<void> | undefined => {
    if (event.kind === 'enter' && extractor === undefined) return begin(event);
    return extractor?.handle(event);
  };
  try {
    await forEachEvent(tree, handle, options, { contents: true, subtree, phase: 'extract' });
    await extractor?.finish();
    if (options.fsync) await syncFileSystemOf(output);
  } catch (error) {
    throw (await extractor?.firstError(error)) ?? error;
  } finally {
    await extractor?.abort();
    await pool.close();
    await tree.source.close();
    links?.close();
  }
  return {
    ...(extractor?.statistics ?? newTally()),
    localStore: tree.counts?.fromStores ?? NO_CHUNKS,
    localSeed: tree.counts?.fromSeeds ?? NO_CHUNKS,
    remoteStore: tree.counts?.fromRemoteStores ?? NO_CHUNKS,
    seedingMs: tree.seedingMs ?? 0,
  };
}
