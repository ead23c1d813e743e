/**
 * `getVersion` of the library: a version of a chain as a file, device, stream or index
 * (spec/api.md, "getVersion").
 */
import { existsSync } from 'node:fs';
import { encodeBlockIndex } from '../../formats/block-index.ts';
import { hexOf } from '../../formats/bytes.ts';
import { suffixKind } from '../../store/location.ts';
import type { BlockSink } from '../images/block-sink.ts';
import { type ChainOptions, describeExistingStore } from '../images/chain/chain-store.node.ts';
import { readVersion } from '../images/chain/read-version.node.ts';
import { type RestoredBlocks, restoreBlocks } from '../images/chain/restore-blocks.node.ts';
import { openImageStream, openNewFile } from '../images/chain/restored-image.node.ts';
import type { VersionBlocks } from '../images/chain/version-blocks.node.ts';
import type { ImageUpdateOptions } from '../images/destination/image-update.ts';
import { openImageUpdate } from '../images/destination/update-image.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { recordedFlags } from './features.ts';
import { openOutput } from './output.node.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface GetVersionOptions
  extends ChainOptions,
    WorkOptions,
    Pick<
      ImageUpdateOptions,
      'map' | 'sizePolicy' | 'sparse' | 'discard' | 'forceDevice' | 'batch' | 'fsync' | 'onWarning'
    > {
  /** `latest` (default), `-N` for N versions before it, a further name, a date or an id. */
  readonly at?: string | undefined;
  /**
   * Path of a file, device or index (`.caibx`), or a descriptor open for writing. Of a file or device
   * that is there only what differs is written.
   */
  readonly output: string | number;
}

export interface GetVersionResult {
  readonly id: string;
  /** Bytes of the image. */
  readonly size: number;
  /** 64 hex digits. */
  readonly root: string;
  readonly statistics: GetVersionStatistics;
}

export interface GetVersionStatistics extends RestoredBlocks {
  /** Bytes that were written; zeros that became holes do not count. */
  readonly writtenBytes: number;
  readonly totalMs: number;
}

/**
 * Restores a version in one pass; every block is verified before it is written.
 * @throws CasError `INDEX_MISSING` if there is no such version, `CHUNK_MISSING`, `CHUNK_DAMAGED`,
 * `ABORTED`, and what writing throws
 */
export async function getVersion(options: GetVersionOptions): Promise<GetVersionResult> {
  const started = performance.now();
  const blocks = await readVersion(options);
  try {
    const counts = await restore(blocks, options);
    const { id, size, root } = blocks.version;
    const statistics = { ...counts, totalMs: performance.now() - started };
    return { id, size, root: hexOf(root), statistics };
  } finally {
    blocks.close();
  }
}

type Counts = Omit<GetVersionStatistics, 'totalMs'>;

async function restore(blocks: VersionBlocks, options: GetVersionOptions): Promise<Counts> {
  const { output } = options;
  const { blockSize, size } = blocks.version;
  if (typeof output === 'number') {
    return intoNew(blocks, openImageStream(output, blockSize, size), options);
  }
  if (suffixKind(output) === 'blob-index') return asIndex(blocks, options);
  const path = localPath(output);
  if (!existsSync(path)) return intoNew(blocks, openNewFile(path, blockSize), options);
  return intoImage(blocks, path, options);
}

async function intoNew(
  blocks: VersionBlocks,
  image: ReturnType<typeof openNewFile>,
  options: GetVersionOptions,
): Promise<Counts> {
  try {
    const counts = await fetchInto(image, blocks, options);
    await image.finish(blocks.version.size);
    return { ...counts, writtenBytes: counts.fetchedBytes };
  } finally {
    image.abandon();
  }
}

/** What the image has already stays untouched. */
async function intoImage(
  blocks: VersionBlocks,
  path: string,
  options: GetVersionOptions,
): Promise<Counts> {
  const { size, blockSize, digest } = blocks.version;
  const { sizePolicy, sparse, discard, forceDevice, batch, fsync } = options;
  const { threadCount = defaultThreadCount(), onWarning, signal } = options;
  // A map that is there stays true, and spares reading the image.
  const map = options.map ?? (existsSync(`${path}.caibx.state`) ? 'auto' : 'none');
  const update = await openImageUpdate(path, {
    ...{ size, map, sizePolicy, batch, fsync, signal, threadCount, blockSize, digest },
    ...(sparse === undefined ? {} : { sparse }),
    ...(discard === undefined ? {} : { discard }),
    ...(forceDevice === undefined ? {} : { forceDevice }),
    ...(onWarning === undefined ? {} : { onWarning }),
  });
  try {
    await update.readDestination();
    const counts = await fetchInto(update, blocks, options);
    const { writtenBytes } = await update.finish(size);
    return { ...counts, writtenBytes };
  } finally {
    await update.abandon();
  }
}

function fetchInto(
  sink: Pick<BlockSink, 'known' | 'write'>,
  blocks: VersionBlocks,
  options: GetVersionOptions,
): Promise<RestoredBlocks> {
  const { threadCount = defaultThreadCount(), signal, onProgress } = options;
  const stores = [describeExistingStore(options, blocks.version.digest)];
  return restoreBlocks(blocks, sink, { stores, threadCount, signal, onProgress });
}

/** For everything that reads indexes: mounts, exports, comparisons. */
async function asIndex(
  blocks: VersionBlocks,
  { output, signal }: GetVersionOptions,
): Promise<Counts> {
  const sink = await openOutput({ output, ...(signal ? { signal } : {}) });
  try {
    let writtenBytes = 0;
    const flags = recordedFlags({ digest: blocks.version.digest }, 0n);
    for (const part of encodeBlockIndex(blocks.table(), flags)) {
      await sink.write(part);
      writtenBytes += part.length;
    }
    await sink.commit();
    return { fetchedBytes: 0, keptBytes: 0, writtenBytes };
  } finally {
    await sink.discard();
  }
}
