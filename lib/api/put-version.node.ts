/** `putVersion` of the library: an image as the next version of a chain (spec/api.md, "putVersion"). */
import type { BlockTable } from '../../formats/block-table.ts';
import { hexOf } from '../../formats/bytes.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { emptyTable, type VersionFacts } from '../../formats/version.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import { ChainFolder } from '../images/chain/chain-folder.node.ts';
import { type ChainOptions, describeChainStore } from '../images/chain/chain-store.node.ts';
import { isAmbiguousTag } from '../images/chain/choose-version.ts';
import { storeImage } from '../images/chain/store-image.node.ts';
import type { ChainVersion } from '../images/chain/version-file.node.ts';
import { versionRuns } from '../images/chain/version-runs.ts';
import { type OpenedImage, openImage } from '../images/source/open-image.node.ts';
import { ZeroDigests } from '../images/zero-digests.ts';
import { type HeldLease, whileInUse } from '../maintain/store-lease.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { InputOptions } from './options.ts';

export interface PutVersionOptions extends ChainOptions, InputOptions {
  /** Bytes of a block; default what the newest version has, else what fits the size. */
  readonly blockSize?: number | undefined;
  /** Default what the newest version has, else SHA-256. */
  readonly digest?: DigestName | undefined;
  /** A further name for the version. */
  readonly tag?: string | undefined;
  /** Whether an image that changes while it is read is an error (default), or only reported. */
  readonly onSourceChange?: 'fail' | 'warn';
  /** Gets one line for people. */
  readonly onWarning?: (text: string) => void;
  /** When the version was made; by default now. */
  readonly time?: Date;
}

export interface PutVersionResult {
  readonly id: string;
  /** Rises from version to version. */
  readonly number: number;
  readonly digest: DigestName;
  readonly blockSize: number;
  /** 64 hex digits. */
  readonly root: string;
  readonly statistics: PutVersionStatistics;
}

export interface PutVersionStatistics {
  readonly imageBytes: number;
  /** Bytes of blocks that the version before did not have in their place. */
  readonly changedBytes: number;
  /** Blocks that the store did not have. */
  readonly newChunkCount: number;
  readonly packCount: number;
  /** By how much the store has grown. */
  readonly storedBytes: number;
  readonly totalMs: number;
}

/**
 * Stores an image as the newest version of a chain: only blocks are compressed and written that the
 * store lacks. Everything is on disk when this resolves.
 * @throws CasError `USAGE`, `SOURCE_CHANGED`, `LEASE_HELD`, `LEASE_LOST`, `ABORTED`, and what reading
 * and storing throw
 */
export async function putVersion(options: PutVersionOptions): Promise<PutVersionResult> {
  const { signal, onWait, tag, name } = options;
  if (tag !== undefined && isAmbiguousTag(tag)) {
    throw new PipelineError('USAGE', { subject: tag, reason: 'means something else already' });
  }
  const { folder } = describeChainStore(options, 'sha256');
  const chain = new ChainFolder(folder, name);
  const image = openImage(options.input, {
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(signal ? { signal } : {}),
  });
  try {
    const lease = {
      index: `${chain.folder}/new.caver`,
      ...(signal ? { signal } : {}),
      ...(onWait ? { onWait } : {}),
    };
    return await whileInUse({ folder }, lease, async (held) => {
      chain.create();
      const unlock = await chain.lock('exclusive', { signal });
      try {
        return await put(chain, image, options, held);
      } finally {
        unlock();
      }
    });
  } finally {
    image.close();
  }
}

async function put(
  chain: ChainFolder,
  image: OpenedImage,
  options: PutVersionOptions,
  lease: HeldLease,
): Promise<PutVersionResult> {
  const started = performance.now();
  const { signal, onProgress, onWarning, onSourceChange, tag } = options;
  const versions = chain.versions();
  const newest = versions.at(-1);
  const digest = options.digest ?? newest?.digest ?? 'sha256';
  const blockSize = options.blockSize ?? newest?.blockSize ?? blockSizeFor(image.size);
  const isLikeBefore = newest?.digest === digest && newest.blockSize === blockSize;
  const base = isLikeBefore ? newest : undefined;
  const store = describeChainStore(options, digest);
  const known = base ? chain.table(base, versions) : emptyTable({ blockSize });
  const stored = await storeImage(image, {
    store,
    digest,
    known,
    threadCount: options.threadCount ?? defaultThreadCount(),
    signal,
    onProgress,
    onWarning,
    ...(onSourceChange ? { onSourceChange } : {}),
  });
  const { root, size, runs } = stored;
  const number = (newest?.number ?? 0) + 1;
  const time = (options.time ?? new Date()).getTime();
  const facts: VersionFacts = { number, time, digest, size, blockSize, root };
  const body = bodyOf({ chain, base, versions, known, runs }, facts);
  const version = await chain.write(facts, body, {
    sync: store.sync === 'group',
    before: () => lease.confirm(),
  });
  if (tag !== undefined) await chain.tag(tag, version.id);
  return {
    id: version.id,
    number,
    digest,
    blockSize,
    root: hexOf(root),
    statistics: {
      imageBytes: size,
      changedBytes: Math.min(stored.changedBytes, size),
      newChunkCount: stored.packs.chunkCount,
      packCount: stored.packs.packCount,
      storedBytes: stored.packs.bytes + version.fileBytes,
      totalMs: performance.now() - started,
    },
  };
}

interface Stored {
  readonly chain: ChainFolder;
  /** The version that the table began with. */
  readonly base: ChainVersion | undefined;
  readonly versions: readonly ChainVersion[];
  readonly known: BlockTable;
  readonly runs: Parameters<ChainFolder['write']>[1]['runs'];
}

/** What differs from the version before, or all of it now and then. */
function bodyOf({ chain, base, versions, known, runs }: Stored, facts: VersionFacts) {
  const digestCount = runs.reduce((sum, run) => sum + (run.isZeros ? 0 : run.count), 0);
  const next = { ...facts, parent: base?.id, runCount: runs.length, digestCount };
  if (base !== undefined && !chain.isWholeDue(base, versions, next)) {
    return { parent: base.id, table: known, runs };
  }
  const zeros = new ZeroDigests(createBlockDigest(facts.digest), facts.blockSize);
  const all = [...versionRuns(known, zeros)];
  return { parent: undefined, table: known, runs: all };
}
