/** `info` of the library: what an index, archive or store holds, in numbers (spec/api.md, "info"). */
import { existsSync, readSync } from 'node:fs';
import { readU64 } from '../../formats/bytes.ts';
import type { NodeType } from '../../formats/catar-events.ts';
import {
  CHUNK_ID_LENGTH,
  type ChunkId,
  type DigestName,
  writeChunkId,
} from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { digestOfFlags, featureNames } from '../../formats/feature-flags.ts';
import { RECORD_TYPES } from '../../formats/record-types.ts';
import { PipelineError } from '../errors.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';
import { type IndexSurvey, surveyIndex } from '../maintain/index-survey.node.ts';
import { type StoreSurvey, surveyStore } from '../maintain/store-survey.node.ts';
import { surveyStoreElsewhere } from '../maintain/survey-elsewhere.node.ts';
import { openSeeds } from '../seed/open-seeds.node.ts';
import {
  isRemote,
  localSources,
  type RemoteStoreDescription,
} from '../stores/store-description.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { type OpenedInput, openInput, readIndex } from './input.node.ts';
import { type InputKind, kindOfPath } from './kinds.ts';
import type { InputOptions, SeedOptions, StoreOptions } from './options.ts';
import { describeStoreForWriting, describeStoresForReading, remotePlace } from './stores.node.ts';
import { visitTree } from './visit-tree.node.ts';

export interface InfoOptions
  extends InputOptions,
    StoreOptions,
    Pick<SeedOptions, 'seeds' | 'chunker'> {
  /** By default what the suffix of the path says, else what the content is; a folder is a store. */
  readonly kind?: InputKind;
}

/** What the feature flags of archives and indexes say. */
export interface FeatureInfo {
  readonly featureFlags: bigint;
  /** Names of the features. */
  readonly features: readonly string[];
  readonly digest: DigestName;
}

export interface IndexInfo extends FeatureInfo, IndexSurvey {
  /** `index` where nothing says of what. */
  readonly kind: 'archive-index' | 'blob-index' | 'index';
  readonly chunkSizes: ChunkSizes;
  /** Bytes of the archive or blob. */
  readonly totalBytes: number;
  /** Chunks, repeated ones counted again. */
  readonly chunkCount: number;
  /** Stores that were asked: those that are there. */
  readonly stores: readonly string[];
}

export interface ArchiveInfo extends FeatureInfo {
  readonly kind: 'archive';
  /** Bytes of the archive; undefined if it was read from a stream. */
  readonly totalBytes?: number;
  /** Entries by type. */
  readonly entryCounts: Readonly<Partial<Record<NodeType, number>>>;
  /** Bytes of all files. */
  readonly contentBytes: number;
}

export interface StoreInfo extends StoreSurvey {
  readonly kind: 'store';
}

export type InfoResult = IndexInfo | ArchiveInfo | StoreInfo;

const DEFAULT_SUFFIX = '.cacnk';

/**
 * @throws CasError `USAGE` for a blob; FormatError for a damaged archive or index; what reading throws;
 * `ABORTED`
 */
export async function info(options: InfoOptions): Promise<InfoResult> {
  const elsewhere = storeElsewhere(options);
  if (elsewhere) return { kind: 'store', ...(await surveyStoreElsewhere(elsewhere, options)) };
  const input = openInput(options);
  try {
    if (input.form === 'file' && input.stats.isDirectory()) {
      if (typeof options.input === 'string') return await infoOfStore(options.input, options);
      throw new PipelineError('USAGE', { subject: input.label, reason: 'A store needs a path.' });
    }
    const kind = kindOfInput(input, options);
    return kind === 'archive'
      ? await infoOfArchive(input, options)
      : await infoOfIndex(kind, input, options);
  } finally {
    input.close();
  }
}

/** What is on another machine and has no name of an archive or index. */
function storeElsewhere(options: InfoOptions): RemoteStoreDescription | undefined {
  const { input, kind } = options;
  if (typeof input !== 'string' || kind !== undefined || kindOfPath(input)) return undefined;
  if (remotePlace(input) === undefined) return undefined;
  const description = describeStoreForWriting({ ...options, store: input }, undefined, 'sha256');
  return isRemote(description) ? description : undefined;
}

/** @throws PipelineError `USAGE` if it is neither archive nor index */
function kindOfInput(
  input: OpenedInput,
  { kind, input: named }: InfoOptions,
): 'archive' | IndexInfo['kind'] {
  const known = kind ?? kindOfPath(named);
  if (known === 'archive' || known === 'archive-index' || known === 'blob-index') return known;
  const start = new Uint8Array(16);
  const length = input.form === 'file' ? readSync(input.descriptor, start, 0, 16, 0) : 0;
  const type = length === start.length ? readU64(start, 8) : undefined;
  if (known === undefined && type === RECORD_TYPES.INDEX) return 'index';
  if (known === undefined && type === RECORD_TYPES.ENTRY) return 'archive';
  const reason = 'Input should be an archive, index or store. Refusing.';
  throw new PipelineError('USAGE', { subject: input.label, reason });
}

async function infoOfStore(path: string, options: InfoOptions): Promise<StoreInfo> {
  const { suffix = DEFAULT_SUFFIX } = options;
  return { kind: 'store', ...(await surveyStore(path, suffix, options)) };
}

function featureInfo(featureFlags: bigint): FeatureInfo {
  const features = featureNames(featureFlags);
  return { featureFlags, features, digest: digestOfFlags(featureFlags) };
}

async function infoOfArchive(input: OpenedInput, options: InfoOptions): Promise<ArchiveInfo> {
  const { signal, onProgress, input: source } = options;
  const entryCounts: Partial<Record<NodeType, number>> = {};
  let contentBytes = 0;
  let featureFlags = 0n;
  const reading = {
    input: source,
    label: input.label,
    kind: 'archive',
    signal,
    onProgress,
  } as const;
  await visitTree(reading, {
    enter({ node }) {
      featureFlags = node.featureFlags;
      entryCounts[node.type] = (entryCounts[node.type] ?? 0) + 1;
      if (node.type === 'file') contentBytes += node.size;
      return undefined;
    },
  });
  const totalBytes = input.form === 'file' ? { totalBytes: input.stats.size } : {};
  return {
    kind: 'archive',
    ...featureInfo(featureFlags),
    ...totalBytes,
    entryCounts,
    contentBytes,
  };
}

async function infoOfIndex(
  kind: IndexInfo['kind'],
  input: OpenedInput,
  options: InfoOptions,
): Promise<IndexInfo> {
  const index = await readIndex(input, options);
  const path = typeof options.input === 'string' ? options.input : undefined;
  // What other stores hold of each chunk would cost a request for each.
  const stores = localSources(describeStoresForReading(options, path, index.digest)).filter(
    ({ folder }) => existsSync(folder),
  );
  const { seeds = [], signal } = options;
  const found = seeds.length === 0 ? undefined : await searchSeeds(seeds, index, options);
  try {
    const isInSeeds = found && { isInSeeds: found.has };
    const survey = await surveyIndex(index, { stores, signal, ...isInSeeds });
    return {
      kind,
      ...featureInfo(index.featureFlags),
      chunkSizes: index.chunkSizes,
      totalBytes: index.totalSize,
      chunkCount: index.count,
      stores: stores.map(({ folder }) => folder),
      ...survey,
    };
  } finally {
    found?.close();
  }
}

interface FoundInSeeds {
  readonly has: (id: ChunkId) => boolean;
  readonly close: () => void;
}

/** Which chunks of an index seeds have: files, devices and folders, or indexes of what is there. */
async function searchSeeds(
  paths: readonly string[],
  index: ChunkIndex,
  options: InfoOptions,
): Promise<FoundInSeeds> {
  const { threadCount = defaultThreadCount(), chunker, signal, onProgress } = options;
  const listed = new ChunkIdSet();
  const data: string[] = [];
  for (const path of paths) {
    if (kindOfPath(path)?.endsWith('index')) listed.addIndex(await readSeedIndex(path, options));
    else data.push(path);
  }
  const failures: unknown[] = [];
  const seeds = await openSeeds(data, index, {
    threadCount,
    signal,
    onProgress,
    ...(chunker ? { chunker } : {}),
    onSeedFailure: (_, error) => failures.push(error),
  });
  const close = (): void => {
    for (const seed of seeds) seed.close();
  };
  if (failures.length > 0) {
    close();
    throw failures[0];
  }
  const id = new Uint8Array(CHUNK_ID_LENGTH);
  return {
    has(chunk) {
      writeChunkId(chunk, id, 0);
      return listed.has(id) || seeds.some((seed) => seed.find(chunk) !== undefined);
    },
    close,
  };
}

async function readSeedIndex(path: string, options: InfoOptions): Promise<ChunkIndex> {
  const input = openInput({ input: path });
  try {
    return await readIndex(input, options);
  } finally {
    input.close();
  }
}
