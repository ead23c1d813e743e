/**
 * Versions that are forgotten (spec/formats/version.md, "Forgetting"): what others take from them is
 * written into those first, so that a kill at any moment leaves a chain in which every version can be
 * read. Used by prune.
 */
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { throwIfAborted } from '../../errors.ts';
import { ZeroDigests } from '../zero-digests.ts';
import type { ChainFolder } from './chain-folder.node.ts';
import { type ChainVersion, ownRuns } from './version-file.node.ts';
import { versionRuns } from './version-runs.ts';

/** @param going versions of the chain, which is locked */
export async function forgetVersions(
  chain: ChainFolder,
  going: readonly ChainVersion[],
  signal?: AbortSignal | undefined,
): Promise<void> {
  const goingIds = new Set(going.map(({ id }) => id));
  for (const { id } of chain.versions()) {
    throwIfAborted(signal);
    if (!goingIds.has(id)) await rebase(chain, id, goingIds);
  }
  throwIfAborted(signal);
  // The newest first: nobody who is still there needs a version that is gone.
  await chain.remove(going.toSorted((a, b) => b.number - a.number));
}

/** Makes a version build on the nearest one that stays, or on none, if it builds on one that goes. */
async function rebase(
  chain: ChainFolder,
  id: string,
  goingIds: ReadonlySet<string>,
): Promise<void> {
  // Those before may have been written anew just now.
  const all = chain.versions();
  const version = all.find((one) => one.id === id);
  if (version?.parent === undefined || !goingIds.has(version.parent)) return;
  const lineage = chain.lineage(version, all);
  const baseAt = lineage.findLastIndex((one) => one.id !== id && !goingIds.has(one.id));
  const base: ChainVersion | undefined = lineage[baseAt];
  const table = chain.table(version, all);
  const zeros = new ZeroDigests(createBlockDigest(version.digest), version.blockSize);
  // What lies between both has changed, if anything of it has: tables need not be compared.
  const isChanged = base && changedIn(lineage.slice(baseAt + 1), table.count);
  const runs = [...versionRuns(table, zeros, isChanged)];
  await chain.write(version, { parent: base?.id, table, runs }, { sync: true });
}

/** Whether any of the versions says something of a block; one bit a block. */
function changedIn(
  versions: readonly ChainVersion[],
  blockCount: number,
): (block: number) => boolean {
  const bits = new Uint8Array(Math.ceil(blockCount / 8));
  for (const version of versions) {
    for (const { first, count } of ownRuns(version)) {
      const end = Math.min(first + count, blockCount);
      for (let block = first; block < end; block++) bits[block >>> 3] |= 1 << (block & 7);
    }
  }
  return (block) => (bits[block >>> 3] & (1 << (block & 7))) !== 0;
}
