/**
 * Makes the index of a tree with an encoder cache: what the cache knows is not read again
 * (spec/formats/cache.md). Used by `make`.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { syncFileSystem } from '../os/file-system.node.ts';
import type { CacheStatistics } from '../statistics.ts';
import type { ByteSink } from './byte-sink.ts';
import { EncoderCache } from './encoder-cache.node.ts';
import { deviceOf, isAtRest } from './file-identity.ts';
import type { ContentReference } from './held-folder.node.ts';
import { type PackTreeOptions, packTree, spanTree } from './pack-tree.node.ts';
import { publishIndex } from './publish-index.node.ts';
import { segmentsOfStream } from './segment.ts';
import { pathOfContent } from './span-cutter.node.ts';
import { SpanStorer, type SpanStorerOptions, type StoredSpans } from './span-storer.node.ts';
import { StreamStorer } from './store-stream.node.ts';

export interface CachedIndexOptions extends SpanStorerOptions {
  /** How the tree is read; its feature flags are those of the header. */
  readonly walk: PackTreeOptions;
  /** Folder of the cache; made if it is missing. */
  readonly cache: string;
  /** Told why nothing could be remembered; the index is complete all the same. */
  readonly onCacheFailure: (error: unknown) => void;
  /** The time in milliseconds since 1970, replaceable in tests. */
  readonly now?: () => number;
}

export interface CachedIndex {
  readonly index: ChunkIndex;
  /** Chunks that were read although the store had them. */
  readonly reusedChunkCount: number;
  readonly statistics: CacheStatistics;
}

/** Fewer batches of entries than this are not worth a thread. */
const FEW_BATCHES = 8;
/** What coarse clocks may differ by. */
const CLOCK_SECONDS = 2;

/**
 * Stores the archive of the tree and publishes its index, which is the same as without a cache, when
 * all its chunks are durable.
 * @param root descriptor of the open folder, which stays open
 * @throws what the walk, the store and the sink throw; PipelineError if there can be no such cache
 */
export async function makeCachedIndex(
  root: number,
  sink: ByteSink,
  options: CachedIndexOptions,
): Promise<CachedIndex> {
  let cache: EncoderCache | undefined;
  const stored = await publishIndex(sink, options, async () => {
    const { header, chunker = 'buzhash' } = options;
    cache = new EncoderCache(options.cache, { root, header, chunker });
    return storeWith(cache, root, options);
  });
  if (stored.remembered !== undefined) {
    await cache?.write(stored.remembered).catch(options.onCacheFailure);
  }
  const { index, reusedChunkCount, statistics } = stored;
  return { index, reusedChunkCount, statistics };
}

type Stored = Omit<StoredSpans, 'remembered'> & Partial<Pick<StoredSpans, 'remembered'>>;

async function storeWith(
  cache: EncoderCache,
  root: number,
  options: CachedIndexOptions,
): Promise<Stored> {
  try {
    return await storeSpans(cache, root, options);
  } catch (error) {
    // A file vanished between its entry and its content: read as a stream, they are one.
    if (!isCasError(error) || error.code !== 'SOURCE_CHANGED') throw error;
    return storePlainly(root, options);
  }
}

async function storeSpans(
  cache: EncoderCache,
  root: number,
  options: CachedIndexOptions,
): Promise<StoredSpans> {
  const { walk } = options;
  const storer = new SpanStorer(options);
  try {
    return await storer.store({
      root,
      spans: spanTree(root, walk, packingIn(storer.pool)),
      known: cache.read(),
      rest: () => beginReading(root, options.now ?? Date.now),
      onChanged: (content) => reportChange(content, walk),
    });
  } finally {
    await storer.close();
  }
}

async function storePlainly(root: number, options: CachedIndexOptions): Promise<Stored> {
  const storer = new StreamStorer(options);
  try {
    const pieces = packTree(root, options.walk, packingIn(storer.pool));
    const { index, reusedChunkCount } = await storer.store(segmentsOfStream(pieces));
    const statistics = { hitCount: 0, missCount: 0, invalidatedCount: 0, addedCount: 0 };
    return { index, reusedChunkCount, statistics };
  } finally {
    await storer.close();
  }
}

/** Packs entries where the pool says, and begins threads when there are enough of them. */
function packingIn(pool: SpanStorer['pool']): Parameters<typeof spanTree>[2] {
  let batchCount = 0;
  return (batch) => {
    batchCount += 1;
    if (batchCount === FEW_BATCHES) pool.start();
    return pool.run('packEntries', batch);
  };
}

function reportChange(content: ContentReference, { label, onIncomplete }: PackTreeOptions): void {
  const path = `${label.replace(/\/$/, '')}/${escapeBytes(pathOfContent(content))}`;
  onIncomplete?.(path, 'file changed while it was read');
}

/**
 * Which files have been at rest since before now. What was written through memory mappings is brought
 * to disk first: from then on each such write is dated, too.
 */
async function beginReading(
  root: number,
  now: () => number,
): Promise<(identity: Uint8Array) => boolean> {
  const moment = Math.floor(now() / 1000) - CLOCK_SECONDS;
  const { device } = statDescriptor(root);
  try {
    const synced = syncFileSystem(root);
    if (synced === undefined) return () => false;
    await synced;
  } catch (error) {
    if (!isCasError(error)) throw error;
    return () => false;
  }
  return (identity) => deviceOf(identity) === device && isAtRest(identity, moment);
}
