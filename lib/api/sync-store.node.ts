/** `syncStore` of the library: an image as index and store (spec/api.md, "syncStore"). */
import { existsSync } from 'node:fs';
import { encodeBlockIndex } from '../../formats/block-index.ts';
import { hexOf } from '../../formats/bytes.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { rootOfTable } from '../../formats/image-root.ts';
import { emptyTable } from '../../formats/version.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import { type ChainOptions, describeChainStore } from '../images/chain/chain-store.node.ts';
import { storeImage } from '../images/chain/store-image.node.ts';
import { openImage } from '../images/source/open-image.node.ts';
import { whileInUse } from '../maintain/store-lease.node.ts';
import { openFileSink } from '../make/file-sink.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { recordedFlags } from './features.ts';
import type { InputOptions } from './options.ts';
import { localPath } from './stores.node.ts';
import { openBlockIndex } from './verify-blocks.node.ts';

export interface SyncStoreOptions extends InputOptions, Omit<ChainOptions, 'name' | 'settingsFor'> {
  /** Path of the index. An older one says block size and digest, unless these are given. */
  readonly index: string;
  readonly blockSize?: number | undefined;
  readonly digest?: DigestName | undefined;
  /** Whether a source that changes meanwhile is an error (default), or only reported. */
  readonly onSourceChange?: 'fail' | 'warn';
  readonly onWarning?: (text: string) => void;
}

export interface SyncStoreResult {
  readonly blockSize: number;
  readonly digest: DigestName;
  /** 64 hex digits. */
  readonly root: string;
  /** False if the older index says the same: then it was not touched. */
  readonly isChanged: boolean;
  readonly statistics: SyncStoreStatistics;
}

export interface SyncStoreStatistics {
  readonly imageBytes: number;
  /** Bytes of blocks that the older index does not have in their place. */
  readonly changedBytes: number;
  /** Blocks that the store did not have. */
  readonly newChunkCount: number;
  /** By how much the store has grown. */
  readonly storedBytes: number;
  readonly totalMs: number;
}

const MODE = 0o666;

/**
 * Stores what the store lacks of an image, in packs, and writes its index. The image can be mounted, exported
 * and restored from both.
 * @throws CasError `USAGE`, `SOURCE_CHANGED`, `UNSAFE_TARGET`, `LEASE_HELD`, `LEASE_LOST`, `ABORTED`, and
 * what reading and storing throw
 */
export async function syncStore(options: SyncStoreOptions): Promise<SyncStoreResult> {
  const started = performance.now();
  const { signal, onWait, input } = options;
  const path = localPath(options.index);
  const { folder } = describeChainStore(options, 'sha256');
  const image = openImage(input, options);
  try {
    const lease = { index: path, ...(signal ? { signal } : {}), ...(onWait ? { onWait } : {}) };
    return await whileInUse({ folder }, lease, async (held) => {
      const older = olderIndex(path);
      const digest = options.digest ?? older?.digest ?? 'sha256';
      const blockSize = options.blockSize ?? older?.table.blockSize ?? blockSizeFor(image.size);
      const isLike = older?.digest === digest && older.table.blockSize === blockSize;
      const known = isLike ? older.table : emptyTable({ blockSize });
      const { size, root, changedBytes, packs } = await storeImage(image, {
        // What the older index says may be in another store.
        isStored: false,
        ...{ digest, known, signal, onProgress: options.onProgress, onWarning: options.onWarning },
        store: describeChainStore(options, digest),
        threadCount: options.threadCount ?? defaultThreadCount(),
        ...(options.onSourceChange ? { onSourceChange: options.onSourceChange } : {}),
      });
      const text = hexOf(root);
      const isChanged = older?.digest !== digest || older.root !== text;
      if (isChanged) {
        const flags = recordedFlags({ digest }, 0n);
        const sink = await openFileSink(path, { mode: MODE & (image.mode ?? MODE) });
        try {
          for (const part of encodeBlockIndex(known, flags)) await sink.write(part);
          await held.confirm();
          await sink.commit();
        } finally {
          await sink.discard();
        }
      }
      const statistics = {
        imageBytes: size,
        changedBytes: Math.min(changedBytes, size),
        newChunkCount: packs.chunkCount,
        storedBytes: packs.bytes,
        totalMs: performance.now() - started,
      };
      return { blockSize, digest, root: text, isChanged, statistics };
    });
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    image.close();
  }
}

/** @throws PipelineError `UNSAFE_TARGET` for what shall not be replaced */
function olderIndex(path: string) {
  const refuse = (reason: string) =>
    new PipelineError('UNSAFE_TARGET', { subject: path, step: 'write index', reason });
  if (existsSync(`${path}.state`)) {
    throw refuse('the map of a destination is there; name another index');
  }
  if (!existsSync(path)) return undefined;
  const index = openBlockIndex({ input: path, kind: 'blob-index' });
  if (index === undefined) throw refuse('an index of chunks by content is there; name another one');
  const { table, digest } = index;
  return { table, digest, root: hexOf(rootOfTable(createBlockDigest(digest), table)) };
}
