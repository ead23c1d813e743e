/**
 * What a mounted archive shows of recorded metadata: what a restored file would show, with numbers for
 * owners (spec/mount.md, "What a mounted archive shows"). Used by the file system of an archive.
 */
import { asciiBytes, equalBytes } from '../../../formats/bytes.ts';
import type { CatarNode, Xattr } from '../../../formats/catar-events.ts';
import { FEATURE, featureNames } from '../../../formats/feature-flags.ts';
import {
  type AclValues,
  CAPABILITY_XATTR,
  type IdResolver,
  isRestoredXattr,
  labelValue,
  recordedTime,
  SELINUX_XATTR,
  shiftedId,
  wantedAcls,
} from '../../extract/recorded-metadata.ts';
import type { UidShift } from '../../make/owner-rules.ts';
import { fatAttributesOfFeatures, inodeFlagsOfFeatures } from '../../os/inode-flag-bits.ts';
import { ACCESS_ACL_XATTR, DEFAULT_ACL_XATTR } from '../../os/posix-acl.ts';
import type { FileAttributes, InodeFlagValues } from './file-system.ts';

const ACCESS_ACL = asciiBytes(ACCESS_ACL_XATTR);
const DEFAULT_ACL = asciiBytes(DEFAULT_ACL_XATTR);
const CAPABILITY = asciiBytes(CAPABILITY_XATTR);
const SELINUX = asciiBytes(SELINUX_XATTR);

const HIDDEN = FEATURE.userNames | FEATURE.subvolume | FEATURE.subvolumeReadOnly;
const NUMERIC_OWNERS = FEATURE.uids16 | FEATURE.uids32;

/**
 * The features of an archive that its mount does not show: owners are numbers, and folders are folders,
 * whether they were subvolumes or not.
 * @returns names, in the order of their bits
 */
export function hiddenFeatures(featureFlags: bigint): readonly string[] {
  return featureNames(featureFlags & HIDDEN);
}

/** What stat tells of a node. */
export function shownAttributes(
  inode: number,
  node: CatarNode,
  linkCount: number,
  uidShift: UidShift | undefined,
): FileAttributes {
  const { mode, size, linkTarget, device } = node;
  return {
    inode,
    mode,
    linkCount,
    uid: shiftedId(node.uid, uidShift),
    gid: shiftedId(node.gid, uidShift),
    size: linkTarget?.length ?? size,
    modifiedNs: recordedTime(node),
    ...(device === undefined ? {} : { device }),
  };
}

/** All extended attributes of a node, those among them that have records of their own. */
export function shownXattrs(node: CatarNode, uidShift: UidShift | undefined): readonly Xattr[] {
  const { type, xattrs, selinuxLabel, fileCapabilities } = node;
  const shown = xattrs.filter(({ name }) => isRestoredXattr(name));
  if (fileCapabilities !== undefined) shown.push({ name: CAPABILITY, value: fileCapabilities });
  if (selinuxLabel !== undefined) shown.push({ name: SELINUX, value: labelValue(selinuxLabel) });
  if (type === 'symlink') return shown;
  const { access, inherited } = shownAcls(node, uidShift);
  if (access !== undefined) shown.push({ name: ACCESS_ACL, value: access });
  if (inherited !== undefined) shown.push({ name: DEFAULT_ACL, value: inherited });
  return shown;
}

/** Undefined if the node has no such attribute. */
export function shownXattr(
  node: CatarNode,
  name: Uint8Array,
  uidShift: UidShift | undefined,
): Uint8Array | undefined {
  const attributes = shownXattrs(node, uidShift);
  return attributes.find((xattr) => equalBytes(xattr.name, name))?.value;
}

function shownAcls(node: CatarNode, uidShift: UidShift | undefined): AclValues {
  const owners: IdResolver = { idOf: (_, { id }) => shiftedId(id, uidShift) };
  if ((node.featureFlags & NUMERIC_OWNERS) !== 0n) return wantedAcls(node, owners);
  // Whom the entries are about is recorded as names alone; as numbers they would be about root.
  return wantedAcls(withoutNamed(node), owners);
}

function withoutNamed(node: CatarNode): CatarNode {
  const { acl, defaultAcl } = node;
  return {
    ...node,
    ...(acl === undefined ? {} : { acl: { ...acl, users: [], groups: [] } }),
    ...(defaultAcl === undefined ? {} : { defaultAcl: { ...defaultAcl, users: [], groups: [] } }),
  };
}

export function shownInodeFlags({ entryFlags, quotaProjectId = 0 }: CatarNode): InodeFlagValues {
  return {
    chattr: inodeFlagsOfFeatures(entryFlags),
    fat: fatAttributesOfFeatures(entryFlags),
    projectId: quotaProjectId,
  };
}
