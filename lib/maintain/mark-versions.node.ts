/** The chunks that the versions in the chains of a store need (spec/formats/version.md). Used by gc. */
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { ChainFolder, chainNames } from '../images/chain/chain-folder.node.ts';
import { type ChainVersion, ownDigests } from '../images/chain/version-file.node.ts';
import { ZeroDigests } from '../images/zero-digests.ts';
import type { ChunkIdSet } from './chunk-id-set.ts';

export interface MarkedVersions {
  readonly versionCount: number;
  /** Blocks of all versions, repeated ones counted again. */
  readonly referenceCount: number;
}

/**
 * Adds them to a set. What a version takes from its parent, that one needs, too.
 * @throws FormatError | StorageError about a version that cannot be read
 */
export async function markVersions(store: string, live: ChunkIdSet): Promise<MarkedVersions> {
  const counts = { versionCount: 0, referenceCount: 0 };
  for (const name of chainNames(store)) {
    const chain = new ChainFolder(store, name);
    const unlock = await chain.lock('shared');
    try {
      for (const version of chain.versions()) {
        markVersion(version, live);
        counts.versionCount += 1;
        counts.referenceCount += Math.ceil(version.size / version.blockSize);
      }
    } finally {
      unlock();
    }
  }
  return counts;
}

function markVersion(version: ChainVersion, live: ChunkIdSet): void {
  const { size, blockSize, digest } = version;
  const zeros = new ZeroDigests(createBlockDigest(digest), blockSize);
  live.add(zeros.of(blockSize));
  if (size % blockSize > 0) live.add(zeros.of(size % blockSize));
  for (const digests of ownDigests(version)) {
    for (let at = 0; at < digests.length; at += DIGEST_LENGTH) live.add(digests, at);
  }
}
