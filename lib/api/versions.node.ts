/**
 * `versions`, `tagVersion` and `pruneVersions` of the library: what a chain has, further names, and
 * what is forgotten (spec/api.md, "versions").
 */
import { hexOf } from '../../formats/bytes.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { PipelineError } from '../errors.ts';
import { assertChainName, ChainFolder, chainNames } from '../images/chain/chain-folder.node.ts';
import { type ChainOptions, describeExistingStore } from '../images/chain/chain-store.node.ts';
import {
  chooseVersion,
  isAmbiguousTag,
  type KeepRules,
  keptVersions,
} from '../images/chain/choose-version.ts';
import { forgetVersions } from '../images/chain/forget-versions.node.ts';
import type { ChainVersion } from '../images/chain/version-file.node.ts';
import type { WorkOptions } from './work-options.ts';

/** A version of an image. */
export interface VersionInfo {
  /** 16 hex digits. */
  readonly id: string;
  /** Rises from version to version. */
  readonly number: number;
  readonly time: Date;
  /** Bytes of the image, and of a block. */
  readonly size: number;
  readonly blockSize: number;
  readonly digest: DigestName;
  /** 64 hex digits. */
  readonly root: string;
  /** Further names. */
  readonly tags: readonly string[];
  /** The version that its table of blocks builds on. */
  readonly parent?: string;
}

function infoOf(version: ChainVersion, tags: ReadonlyMap<string, string>): VersionInfo {
  const { id, number, time, size, blockSize, digest, root, parent } = version;
  return {
    ...{ id, number, time: new Date(time), size, blockSize, digest },
    root: hexOf(root),
    tags: [...tags].filter(([, tagged]) => tagged === id).map(([tag]) => tag),
    ...(parent === undefined ? {} : { parent }),
  };
}

/** The names of the chains of a store. @throws CasError `STORE_MISSING` */
export function chains(options: Omit<ChainOptions, 'name'>): readonly string[] {
  return chainNames(describeExistingStore(options, 'sha256').folder);
}

/** The versions of a chain, the oldest first. @throws CasError `STORE_MISSING`, `INDEX_MISSING` */
export async function versions(
  options: ChainOptions & WorkOptions,
): Promise<readonly VersionInfo[]> {
  return withChain(options, 'shared', async (chain) => {
    const tags = chain.tags();
    return chain.versions().map((version) => infoOf(version, tags));
  });
}

export interface TagVersionOptions extends ChainOptions, WorkOptions {
  readonly tag: string;
  /** The version that gets the name: `latest`, `-N`, a date, an id; undefined takes the name away. */
  readonly at: string | undefined;
}

/** @returns the version, undefined if the name was taken away */
export async function tagVersion(options: TagVersionOptions): Promise<VersionInfo | undefined> {
  const { tag, at } = options;
  assertChainName(tag);
  if (isAmbiguousTag(tag)) {
    throw new PipelineError('USAGE', { subject: tag, reason: 'means something else already' });
  }
  return withChain(options, 'exclusive', async (chain) => {
    const tags = chain.tags();
    if (at === undefined && !tags.has(tag)) {
      throw new PipelineError('INDEX_MISSING', {
        subject: tag,
        reason: 'no version has this name',
      });
    }
    const version = at === undefined ? undefined : chooseVersion(at, chain.versions(), tags);
    await chain.tag(tag, version?.id);
    return version && infoOf(version, chain.tags());
  });
}

export interface PruneVersionsOptions extends ChainOptions, WorkOptions {
  /** What rules keep; everything else is forgotten. */
  readonly keep?: KeepRules;
  /** Versions that are forgotten, by the words that name them. */
  readonly forget?: readonly string[];
  /** Only say what would be forgotten. */
  readonly dryRun?: boolean;
}

export interface PruneVersionsResult {
  readonly forgotten: readonly VersionInfo[];
  readonly kept: readonly VersionInfo[];
}

/**
 * Forgets versions. Those with a further name stay unless they are named themselves. The space is given
 * back by `gc`.
 * @throws CasError `USAGE` if nothing says which; a rule that keeps none at all is a mistake, too
 */
export async function pruneVersions(options: PruneVersionsOptions): Promise<PruneVersionsResult> {
  const { keep, forget = [], dryRun = false } = options;
  const hasRules = keep !== undefined && Object.values(keep).some((count) => count !== undefined);
  if (hasRules === forget.length > 0) {
    const reason = 'either rules that say what is kept, or versions to forget, are needed';
    throw new PipelineError('USAGE', { reason });
  }
  return withChain(options, 'exclusive', async (chain) => {
    const all = chain.versions();
    const tags = chain.tags();
    const named = new Set(forget.map((word) => chooseVersion(word, all, tags).id));
    const staying = hasRules ? keptVersions(all, keep) : undefined;
    if (staying?.size === 0 && all.length > 0) {
      const reason = 'the rules keep no version; name the versions to forget all of them';
      throw new PipelineError('USAGE', { subject: options.name, reason });
    }
    const tagged = new Set(tags.values());
    const isGoing = ({ id }: ChainVersion): boolean =>
      staying === undefined ? named.has(id) : !staying.has(id) && !tagged.has(id);
    const going = all.filter(isGoing);
    if (!dryRun) {
      for (const [tag, id] of tags) if (named.has(id)) await chain.tag(tag, undefined);
      await forgetVersions(chain, going, options.signal);
    }
    const kept = all.filter((version) => !isGoing(version)).map((one) => infoOf(one, tags));
    return { forgotten: going.map((one) => infoOf(one, tags)), kept };
  });
}

async function withChain<T>(
  options: ChainOptions & WorkOptions,
  kind: 'exclusive' | 'shared',
  work: (chain: ChainFolder) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  const chain = new ChainFolder(describeExistingStore(options, 'sha256').folder, options.name);
  const unlock = await chain.lock(kind, { signal });
  try {
    return await work(chain);
  } finally {
    unlock();
  }
}
