/**
 * Everything an archive records of a file besides its name and content, read from the file system and
 * reduced to the feature flags (spec/formats/catar.md). Used by the folder walk.
 */
import { compareBytes } from '../../formats/bytes.ts';
import type { CatarNode, Xattr } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import {
  FAT_FEATURES,
  featuresOfFatAttributes,
  featuresOfInodeFlags,
  SUBVOLUME_FEATURE,
  SUBVOLUME_READ_ONLY_FEATURE,
} from '../os/inode-flag-bits.ts';
import {
  getFatAttributes,
  getProjectId,
  isSubvolume,
  isSubvolumeReadOnly,
} from '../os/inode-flags.node.ts';
import { ACCESS_ACL_XATTR, DEFAULT_ACL_XATTR, decodePosixAcl } from '../os/posix-acl.ts';
import { groupName, userName } from '../os/users.node.ts';
import { getXattr, listXattrs } from '../os/xattr.node.ts';
import type { HeldEntry } from './held-entry.node.ts';
import { createOwnerRules, type MetadataOptions, type OwnerRules } from './owner-rules.ts';
import { recordedAccessAcl, recordedDefaultAcl } from './recorded-acl.ts';
import { isRecordedXattr, modeReducer, timeReducer } from './reduce.ts';

/** What the file system knows of a file besides its attributes. */
export interface FileFacts {
  /** Flags of chattr(1), 0 where there are none. */
  readonly inodeFlags: number;
  /** Number of the file system type. */
  readonly fileSystemType: number;
}

const ENTRY_FLAGS = 0xfffe000n;
const EXT = 0xef53;
const XFS = 0x58465342;
const FUSE = 0x65735546;
const FAT = 0x4d44;
const FILE_SYSTEMS_WITH_PROJECTS: ReadonlySet<number> = new Set([EXT, XFS, FUSE]);
const FILE_SYSTEMS_WITH_FAT_ATTRIBUTES: ReadonlySet<number> = new Set([FAT, FUSE]);
const CAPABILITY_XATTR = 'security.capability';
const SELINUX_XATTR = 'security.selinux';

/** What comes out of extended attributes, whatever it is called in the archive. */
type Attributes = Pick<
  CatarNode,
  'xattrs' | 'acl' | 'defaultAcl' | 'selinuxLabel' | 'fileCapabilities'
>;

const NO_ATTRIBUTES: Attributes = {
  xattrs: [],
  acl: undefined,
  defaultAcl: undefined,
  selinuxLabel: undefined,
  fileCapabilities: undefined,
};

/**
 * Reads the node of an entry that is held still.
 * @throws PipelineError, FormatError without subject where something cannot be read or recorded
 */
export type NodeReader = (entry: HeldEntry, facts: FileFacts) => CatarNode;

/** The function that reads nodes for one archive. */
export function createNodeReader(options: MetadataOptions): NodeReader {
  const { featureFlags, uidShift } = options;
  const names = { user: userName, group: groupName };
  const owners = createOwnerRules({ featureFlags, names, ...(uidShift && { uidShift }) });
  const reduceMode = modeReducer(featureFlags);
  const reduceTime = timeReducer(featureFlags);
  const entryFlagMask = Number(featureFlags & ENTRY_FLAGS);
  const readAttributes = createAttributeReader(featureFlags, owners);
  const wantsProject = (featureFlags & FEATURE.quotaProjectId) !== 0n;
  return (entry, facts) => {
    const { type, stat, fd } = entry;
    const user = owners.user(stat.uid);
    const group = owners.group(stat.gid);
    const attributes = readAttributes(entry);
    // Always the same properties, and none copied by a loop: this is made once per file.
    return {
      type,
      featureFlags,
      mode: reduceMode(stat.mode, type),
      entryFlags: fd === undefined ? 0 : readEntryFlags(entry, fd, facts, entryFlagMask),
      uid: user.id,
      gid: group.id,
      localOwner: uidShift && { uid: stat.uid, gid: stat.gid },
      mtime: reduceTime(stat.mtimeSeconds, stat.mtimeNanoseconds),
      user: user.name,
      group: group.name,
      xattrs: attributes.xattrs,
      acl: attributes.acl,
      defaultAcl: attributes.defaultAcl,
      selinuxLabel: attributes.selinuxLabel,
      fileCapabilities: attributes.fileCapabilities,
      quotaProjectId: wantsProject && fd !== undefined ? readProject(fd, facts) : undefined,
      size: type === 'file' ? stat.size : 0,
      linkTarget: entry.linkTarget,
      device: deviceOf(entry),
    };
  };
}

function deviceOf({ type, stat }: HeldEntry): CatarNode['device'] {
  if (type !== 'character-device' && type !== 'block-device') return undefined;
  return { major: stat.rdevMajor, minor: stat.rdevMinor };
}

function readEntryFlags(
  { type, stat }: HeldEntry,
  fd: number,
  { inodeFlags, fileSystemType }: FileFacts,
  mask: number,
): number {
  let flags = inodeFlags === 0 ? 0 : featuresOfInodeFlags(inodeFlags);
  if ((mask & FAT_FEATURES) !== 0 && FILE_SYSTEMS_WITH_FAT_ATTRIBUTES.has(fileSystemType)) {
    flags |= featuresOfFatAttributes(getFatAttributes(fd) ?? 0);
  }
  if (
    type === 'directory' &&
    (mask & SUBVOLUME_FEATURE) !== 0 &&
    isSubvolume(fileSystemType, stat.inode)
  ) {
    flags |= SUBVOLUME_FEATURE;
    const wantsReadOnly = (mask & SUBVOLUME_READ_ONLY_FEATURE) !== 0;
    if (wantsReadOnly && isSubvolumeReadOnly(fd)) flags |= SUBVOLUME_READ_ONLY_FEATURE;
  }
  return flags & mask;
}

function readProject(fd: number, { fileSystemType }: FileFacts): number | undefined {
  if (!FILE_SYSTEMS_WITH_PROJECTS.has(fileSystemType)) return undefined;
  return getProjectId(fd) || undefined;
}

function createAttributeReader(
  featureFlags: bigint,
  owners: OwnerRules,
): (entry: HeldEntry) => Attributes {
  const has = (bit: bigint) => (featureFlags & bit) !== 0n;
  const wants = {
    xattrs: has(FEATURE.xattrs),
    acl: has(FEATURE.acl),
    label: has(FEATURE.selinux),
    capabilities: has(FEATURE.fileCapabilities),
  };
  const wantsAny = wants.xattrs || wants.acl || wants.label || wants.capabilities;
  return ({ type, fd, path }) => {
    const target = fd ?? path;
    if (target === undefined || !wantsAny) return NO_ATTRIBUTES;
    if (type === 'symlink') {
      const label = wants.label ? labelOf(getXattr(target, SELINUX_XATTR)) : undefined;
      return label === undefined ? NO_ATTRIBUTES : { ...NO_ATTRIBUTES, selinuxLabel: label };
    }
    const names = listXattrs(target);
    if (names.length === 0) return NO_ATTRIBUTES;
    const listed = new Set(names.map((name) => name.toString('latin1')));
    const read = (name: string) => (listed.has(name) ? getXattr(target, name) : undefined);
    const access = wants.acl ? read(ACCESS_ACL_XATTR) : undefined;
    const inherited = wants.acl && type === 'directory' ? read(DEFAULT_ACL_XATTR) : undefined;
    return {
      xattrs: wants.xattrs && fd !== undefined ? readXattrs(fd, names) : [],
      acl: access && recordedAccessAcl(decodePosixAcl(access), owners),
      defaultAcl: inherited && recordedDefaultAcl(decodePosixAcl(inherited), owners),
      selinuxLabel: wants.label ? labelOf(read(SELINUX_XATTR)) : undefined,
      fileCapabilities: wants.capabilities && type === 'file' ? read(CAPABILITY_XATTR) : undefined,
    };
  };
}

function readXattrs(fd: number, names: readonly Uint8Array[]): readonly Xattr[] {
  const xattrs: Xattr[] = [];
  for (const name of names.filter(isRecordedXattr).toSorted(compareBytes)) {
    const value = getXattr(fd, name);
    if (value !== undefined) xattrs.push({ name, value });
  }
  return xattrs;
}

/** The label without the NUL that ends it. */
function labelOf(value: Uint8Array | undefined): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  const label = end < 0 ? value : value.subarray(0, end);
  return label.length === 0 ? undefined : label;
}
