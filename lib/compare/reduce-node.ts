/**
 * A node as if its archive had been made with fewer features: what two trees are compared by, and what
 * a mask leaves of an archive. Pure.
 */
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE, timeGranularity } from '../../formats/feature-flags.ts';
import { isTypeRecorded, modeReducer } from '../make/reduce.ts';

const ENTRY_FLAGS = (1n << 28n) - (1n << 13n);
const NUMBERS = FEATURE.uids16 | FEATURE.uids32;

/** Reduces nodes; undefined for those that would be left out. */
export type NodeReducer = (node: CatarNode) => CatarNode | undefined;

/** @param flags normalised feature flags, or those of another archive with fewer features */
export function nodeReducer(flags: bigint): NodeReducer {
  const has = (feature: bigint): boolean => (flags & feature) !== 0n;
  const reduceMode = modeReducer(flags);
  const granularity = timeGranularity(flags);
  const entryFlags = Number(flags & ENTRY_FLAGS);
  return (node) => {
    if (node.featureFlags === flags) return node;
    if (!isTypeRecorded(node.type, flags)) return undefined;
    const { type, size, linkTarget, device, mtime } = node;
    return {
      type,
      featureFlags: flags,
      mode: reduceMode(node.mode, type),
      entryFlags: node.entryFlags & entryFlags,
      uid: has(NUMBERS) ? node.uid : 0,
      gid: has(NUMBERS) ? node.gid : 0,
      mtime: granularity === 0n ? 0n : mtime - (mtime % granularity),
      xattrs: has(FEATURE.xattrs) ? node.xattrs : [],
      size,
      ...(linkTarget && { linkTarget }),
      ...(device && { device }),
      ...(has(FEATURE.userNames) && node.user && { user: node.user }),
      ...(has(FEATURE.userNames) && node.group && { group: node.group }),
      ...(has(FEATURE.acl) && node.acl && { acl: node.acl }),
      ...(has(FEATURE.acl) && node.defaultAcl && { defaultAcl: node.defaultAcl }),
      ...(has(FEATURE.selinux) && node.selinuxLabel && { selinuxLabel: node.selinuxLabel }),
      ...(has(FEATURE.fileCapabilities) &&
        node.fileCapabilities && { fileCapabilities: node.fileCapabilities }),
      ...(has(FEATURE.quotaProjectId) &&
        node.quotaProjectId !== undefined && { quotaProjectId: node.quotaProjectId }),
    };
  };
}
