/**
 * `exportStore` of the library: the blocks of a version or index as a plain store, one file for each,
 * which every casync reads (spec/api.md, "exportStore").
 */
import type { BlockTable } from '../../formats/block-table.ts';
import { chunkIdFromBytes, type DigestName } from '../../formats/chunk-id.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import {
  type ChainOptions,
  describeChainStore,
  describeExistingStore,
} from '../images/chain/chain-store.node.ts';
import { blockIndexAt } from '../images/chain/index-at.node.ts';
import { readVersion } from '../images/chain/read-version.node.ts';
import { openLocalStore } from '../local-store.node.ts';
import { ChunkIdSet } from '../maintain/chunk-id-set.ts';
import { whileInUse } from '../maintain/store-lease.node.ts';
import { progressOf } from '../progress.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface ExportStoreOptions extends Omit<ChainOptions, 'name'>, WorkOptions {
  /** A version of a chain, or the path of an index of blocks of one size (`.caibx`). */
  readonly source: { readonly name: string; readonly at?: string } | { readonly index: string };
  /** Path of the store that gets the chunks; it may be there. */
  readonly output: string;
}

export interface ExportStoreResult {
  /** Chunks that the other store did not have. */
  readonly storedCount: number;
  readonly presentCount: number;
  /** Bytes of the image. */
  readonly size: number;
}

/** @throws CasError `CHUNK_MISSING`, `CHUNK_DAMAGED`, `USAGE`, `ABORTED`, and what storing throws */
export async function exportStore(options: ExportStoreOptions): Promise<ExportStoreResult> {
  const { store, output, signal, onWait } = options;
  const { table, digest } = await blocksOf(options);
  const from = openLocalStore(describeExistingStore(options, digest));
  const target = describeChainStore({ ...options, store: output }, digest);
  if (target.folder === localPath(store)) {
    const reason = 'the store that is exported cannot be the output';
    throw new PipelineError('USAGE', { subject: output, reason });
  }
  const to = openLocalStore(target);
  try {
    const lease = { ...(signal ? { signal } : {}), ...(onWait ? { onWait } : {}) };
    return await whileInUse(target, lease, async () => {
      const counts = await copyChunks(table, { from, to }, options);
      await to.flush();
      return { ...counts, size: table.size };
    });
  } finally {
    await from.close();
    await to.close();
  }
}

async function blocksOf(
  options: ExportStoreOptions,
): Promise<{ readonly table: BlockTable; readonly digest: DigestName }> {
  const { source, signal } = options;
  if ('name' in source) {
    const blocks = await readVersion({ ...options, ...source, signal });
    try {
      return { table: blocks.table(), digest: blocks.version.digest };
    } finally {
      blocks.close();
    }
  }
  const index = blockIndexAt(localPath(source.index));
  if (index !== undefined) return index;
  const reason = 'its chunks are not of one size: "copy" copies such an index and its store';
  throw new PipelineError('USAGE', { subject: source.index, reason });
}

async function copyChunks(
  table: BlockTable,
  { from, to }: Readonly<Record<'from' | 'to', ReturnType<typeof openLocalStore>>>,
  { signal, onProgress }: WorkOptions,
): Promise<Omit<ExportStoreResult, 'size'>> {
  const seen = new ChunkIdSet();
  let [storedCount, presentCount] = [0, 0];
  for (let i = 0; i < table.count; i++) {
    throwIfAborted(signal);
    const digest = table.digests(i, 1);
    if (!seen.add(digest)) continue;
    const id = chunkIdFromBytes(digest);
    if (await to.has(id)) presentCount += 1;
    else {
      const outcome = await to.put(id, await from.get(id, { expectedSize: table.sizeOf(i) }));
      if (outcome === 'stored') storedCount += 1;
    }
    onProgress?.(progressOf('export', i * table.blockSize, table.size));
  }
  return { storedCount, presentCount };
}
