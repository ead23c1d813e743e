/** A version of a chain by the word that names it. Used by get, diff and export. */
import { ChainFolder, type LockOptions } from './chain-folder.node.ts';
import { type ChainOptions, describeExistingStore } from './chain-store.node.ts';
import { chooseVersion, LATEST } from './choose-version.ts';
import { VersionBlocks } from './version-blocks.node.ts';

/**
 * @returns its blocks, to be closed
 * @throws CasError `STORE_MISSING`, `INDEX_MISSING`, `USAGE`, `LEASE_HELD`, `VERIFY_FAILED`, FormatError
 */
export async function readVersion(
  options: ChainOptions & LockOptions & { readonly at?: string | undefined },
): Promise<VersionBlocks> {
  const { name, at = LATEST, signal } = options;
  const chain = new ChainFolder(describeExistingStore(options, 'sha256').folder, name);
  const unlock = await chain.lock('shared', { signal });
  try {
    const versions = chain.versions();
    const version = chooseVersion(at, versions, chain.tags());
    return new VersionBlocks(version, chain.lineage(version, versions));
  } finally {
    unlock();
  }
}
