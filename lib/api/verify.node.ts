/** `verify` of the library: is it still what it was? (spec/api.md, "verify") */
import type { DigestName } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { suffixKind } from '../../store/location.ts';
import type { ByteRange } from '../compare/byte-ranges.ts';
import { joinedRanges, rangesOfChunks } from '../compare/compare-blobs.node.ts';
import type { EntryDifference, TreeComparison } from '../compare/compare-trees.ts';
import { differentChunks, differentChunksOfStream } from '../compare/different-chunks.node.ts';
import { createDigest } from '../digest/digest.node.ts';
import { PipelineError } from '../errors.ts';
import { verifyIndexElsewhere, verifyStoreElsewhere } from '../maintain/verify-elsewhere.node.ts';
import {
  type StoreProblem,
  type VerifyStoreResult,
  verifyStore,
} from '../maintain/verify-store.node.ts';
import { digestArchive } from '../read/digest-archive.ts';
import { isRemote, localSources, type StoreDescription } from '../stores/store-description.ts';
import { createBreather } from '../work/breathe.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { Compared, compareInputs } from './compared.node.ts';
import type { ComparedInput, FolderOptions } from './options.ts';
import { describeStoresForReading, remotePlace } from './stores.node.ts';
import { type VerifiedBlob, verifyBlocks } from './verify-blocks.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface VerifyOptions extends WorkOptions, FolderOptions {
  /** An archive or index; or, without a target, the path of a store. */
  readonly expected: ComparedInput;
  /** What shall be equal: a folder for an archive, a file, device or stream for an index. */
  readonly target?: ComparedInput;
  /** Told of each entry that differs: removed are those that the target lacks. */
  readonly onEntry?: (difference: EntryDifference) => Promise<void> | undefined;
  /** Told of each range of a file, device or stream that differs, rising. In whole chunks. */
  readonly onRange?: (range: ByteRange) => Promise<void> | undefined;
  /** Told of each chunk or file of a store that is not as it should be. */
  readonly onProblem?: (problem: StoreProblem) => void;
}

export type VerifyResult =
  | ({ readonly kind: 'tree'; readonly isGood: boolean } & TreeComparison)
  | VerifiedBlob
  | ({ readonly kind: 'chunks'; readonly isGood: boolean } & VerifyStoreResult)
  /** An archive without anything to compare it with: its structure is as it should be. */
  | { readonly kind: 'archive'; readonly isGood: true };

/**
 * Checks that a target equals an archive or index; without a target, that all chunks of an index, or all
 * chunks of a store, are there and good.
 * @throws CasError `USAGE` if both do not fit, `ABORTED`, FormatError for a damaged archive or index, and
 * what reading throws
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  if (options.target === undefined && isStoreElsewhere(options.expected)) {
    return verifyChunks(undefined, options);
  }
  const { expected: index, target } = options;
  const blocks = target && (await verifyBlocks({ index, target, ...workOf(options) }));
  if (blocks !== undefined) return blocks;
  const expected = await Compared.open(options.expected, options);
  try {
    if (options.target === undefined) return await verifyAlone(expected, options);
    const target = await Compared.open(options.target, options);
    try {
      if (target.isFolder) return await verifyFolder(expected, target, options);
      if (expected.index) return await verifyBytes(expected.index, target, options);
      const reason = `${expected.label} is no index, and ${target.label} is no directory.`;
      throw new PipelineError('USAGE', { reason });
    } finally {
      await target.close();
    }
  } finally {
    await expected.close();
  }
}

function workOf({ threadCount, signal, onProgress, onRange }: VerifyOptions) {
  return {
    ...(threadCount === undefined ? {} : { threadCount }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(onRange ? { onRange } : {}),
  };
}

/** What is on another machine and has no name of an archive or index. */
function isStoreElsewhere({ input, kind }: ComparedInput): boolean {
  if (typeof input !== 'string' || kind !== undefined) return false;
  return remotePlace(input) !== undefined && suffixKind(input) === undefined;
}

async function verifyFolder(
  expected: Compared,
  target: Compared,
  options: VerifyOptions,
): Promise<VerifyResult> {
  if (expected.isFolder || !expected.isTree) {
    const reason = `${expected.label} is neither an archive nor an archive index.`;
    throw new PipelineError('USAGE', { reason });
  }
  const { onEntry = () => undefined } = options;
  const compared = await compareInputs(expected, target, { ...options, onDifference: onEntry });
  const { addedCount, removedCount, changedCount } = compared;
  return { kind: 'tree', isGood: addedCount + removedCount + changedCount === 0, ...compared };
}

/** Hashes the target; no chunk is fetched. */
async function verifyBytes(
  index: ChunkIndex,
  target: Compared,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const { threadCount = defaultThreadCount(), signal, onProgress, onRange } = options;
  const { file, size, isDevice } = target.blob();
  const work = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
  const chunks = file
    ? differentChunks(index, file, { threadCount, ...work })
    : differentChunksOfStream(index, target.source(), work);
  const found = { rangeCount: 0, differentBytes: 0 };
  const expectedSize = index.totalSize;
  for await (const range of joinedRanges(rangesOfChunks(index, chunks, expectedSize))) {
    found.rangeCount += 1;
    found.differentBytes += range.end - range.start;
    await onRange?.(range);
  }
  // A device may be longer; and what is shorter than it should be lacks chunks.
  const isWhole = found.rangeCount === 0;
  const targetSize = isDevice
    ? undefined
    : (size ?? (isWhole ? await endOf(target, index) : undefined));
  const isGood = isWhole && (targetSize ?? expectedSize) === expectedSize;
  const sizes = { expectedSize, ...(targetSize === undefined ? {} : { targetSize }) };
  return { kind: 'blob', isGood, ...sizes, ...found };
}

/** Where a stream ends that has all bytes of an index. */
async function endOf(target: Compared, { totalSize }: ChunkIndex): Promise<number> {
  const source = target.source();
  for (let end = totalSize; ; ) {
    const bytes = await source.read(end);
    if (bytes.length === 0) return end;
    end += bytes.length;
  }
}

async function verifyAlone(expected: Compared, options: VerifyOptions): Promise<VerifyResult> {
  const { index, kind, label } = expected;
  if (index) return verifyChunks(index, options);
  if (kind === 'directory') return verifyChunks(undefined, options);
  if (kind === 'archive') {
    const { signal, onProgress } = options;
    const work = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
    await digestArchive(expected.source(), createDigest, { breathe: createBreather(), ...work });
    return { kind: 'archive', isGood: true };
  }
  const reason = `${label} is neither an archive, an index nor a store.`;
  throw new PipelineError('USAGE', { reason });
}

/** Checks the chunks of an index in its stores, or all of a store, which is the input itself. */
async function verifyChunks(
  index: ChunkIndex | undefined,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const { input, ...stores } = options.expected;
  const path = typeof input === 'string' ? input : undefined;
  if (index === undefined && path === undefined) {
    throw new PipelineError('USAGE', { reason: 'A store is named by its path.' });
  }
  const where = index || path === undefined ? stores : { ...stores, store: path, extraStores: [] };
  // Of a whole store nobody says which digest its chunks have: each is tried.
  const digest: DigestName = index?.digest ?? 'sha256';
  const { stores: sources } = describeStoresForReading(where, path, digest);
  const result = await verifySources(index, sources, options);
  const { damaged, missing, unreadable } = result.problemCounts;
  return { kind: 'chunks', isGood: damaged + missing + unreadable === 0, ...result };
}

async function verifySources(
  index: ChunkIndex | undefined,
  sources: readonly StoreDescription[],
  { threadCount, signal, onProgress, onProblem }: VerifyOptions,
): Promise<VerifyStoreResult> {
  const work = {
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(onProblem ? { onProblem } : {}),
  };
  const elsewhere = sources.find(isRemote);
  if (elsewhere !== undefined) {
    if (index === undefined) return verifyStoreElsewhere(elsewhere, work);
    return verifyIndexElsewhere(index, sources, work);
  }
  const [store, ...extraStores] = localSources({ stores: sources });
  return verifyStore(store, {
    ...work,
    ...(index ? { indexes: [index], extraStores } : {}),
    ...(threadCount === undefined ? {} : { threadCount }),
  });
}
