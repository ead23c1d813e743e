/**
 * In which attributes an object that is there differs from what it shall be, and whether it may be
 * changed (spec/formats/extraction.md, "Over an older version"). Reads only. Used by tree extraction.
 */
import { equalBytes } from '../../formats/bytes.ts';
import type { FileStat } from '../os/file-stat.node.ts';
import { fatAttributesOfFeatures, inodeFlagsOfFeatures } from '../os/inode-flag-bits.ts';
import { getFatAttributes, getInodeFlags, getProjectId } from '../os/inode-flags.node.ts';
import { ACCESS_ACL_XATTR, DEFAULT_ACL_XATTR } from '../os/posix-acl.ts';
import { getXattr, listXattrs } from '../os/xattr.node.ts';
import { EARLY_FLAGS } from './apply-flags.node.ts';
import { hasOwner, hasPermissions, hasTime, WRITE_BITS } from './attributes.node.ts';
import { CAPABILITY_XATTR, isRestoredXattr, SELINUX_XATTR } from './recorded-metadata.ts';
import type { ReplaySet } from './replay-set.ts';
import type { Wanted } from './wanted.node.ts';

/** Kinds of attributes, as bits of one number. */
export const DIFFERENT = {
  owner: 1,
  mode: 2,
  accessAcl: 4,
  defaultAcl: 8,
  xattrs: 16,
  fileCapabilities: 32,
  selinuxLabel: 64,
  time: 128,
  /** Flags that only an empty file can get. */
  earlyFlags: 256,
  /** All other flags, and the project. */
  lateFlags: 512,
} as const;

/** An object that is open: for reading, or for its attributes only if it is no file or directory. */
export interface HeldObject {
  readonly fd: number;
  readonly stat: FileStat;
  /** Its file system has FAT attributes. */
  readonly onFat: boolean;
}

/**
 * @returns bits of {@link DIFFERENT}, 0 if nothing has to be changed. Flags of directories are not
 * looked at: they are restored on their own.
 * @throws PipelineError without subject
 */
export function differencesOf(object: HeldObject, wanted: Wanted, replay: ReplaySet): number {
  const { fd, stat } = object;
  let found = 0;
  if (!hasOwner(stat, wanted.owner)) found |= DIFFERENT.owner;
  if (!hasMode(stat, wanted)) found |= DIFFERENT.mode;
  if (wanted.time !== undefined && !hasTime(stat, wanted.time)) found |= DIFFERENT.time;
  found |= differentXattrs(fd, wanted, replay);
  if (wanted.type === 'file') found |= differentFlags(object, wanted, replay);
  return found;
}

function hasMode(stat: FileStat, { permissions, isReadOnly }: Wanted): boolean {
  if (!hasPermissions(stat, permissions)) return false;
  return isReadOnly === undefined || ((stat.mode & WRITE_BITS) === 0) === isReadOnly;
}

/** Everything that is kept in extended attributes. */
function differentXattrs(fd: number, wanted: Wanted, replay: ReplaySet): number {
  const { type, xattrs, fileCapabilities, selinuxLabel } = wanted;
  if (type === 'symlink') {
    if (!replay.selinux || selinuxLabel === undefined) return 0;
    return isEqual(getXattr(fd, SELINUX_XATTR), selinuxLabel) ? 0 : DIFFERENT.selinuxLabel;
  }
  if (!replay.xattrs && !replay.acl && !replay.fileCapabilities && !replay.selinux) return 0;
  const listed = listXattrs(fd);
  if (listed.length === 0 && wantsNoXattrs(wanted)) return 0;
  const names = new Set(listed.map((name) => name.toString('latin1')));
  const differs = (name: string, value: Uint8Array | undefined) =>
    !isEqual(names.has(name) ? getXattr(fd, name) : undefined, value);
  let found = 0;
  if (replay.acl && differs(ACCESS_ACL_XATTR, wanted.accessAcl)) found |= DIFFERENT.accessAcl;
  if (replay.acl && differs(DEFAULT_ACL_XATTR, wanted.defaultAcl)) found |= DIFFERENT.defaultAcl;
  if (replay.xattrs && haveDifference(fd, names, xattrs)) found |= DIFFERENT.xattrs;
  if (replay.fileCapabilities && differs(CAPABILITY_XATTR, fileCapabilities)) {
    found |= DIFFERENT.fileCapabilities;
  }
  if (replay.selinux && selinuxLabel !== undefined && differs(SELINUX_XATTR, selinuxLabel)) {
    found |= DIFFERENT.selinuxLabel;
  }
  return found;
}

/** As nearly all objects. */
function wantsNoXattrs(wanted: Wanted): boolean {
  const { accessAcl, defaultAcl, fileCapabilities, selinuxLabel } = wanted;
  if (wanted.xattrs.length > 0 || accessAcl !== undefined || defaultAcl !== undefined) return false;
  return fileCapabilities === undefined && selinuxLabel === undefined;
}

function haveDifference(fd: number, names: ReadonlySet<string>, wanted: Wanted['xattrs']): boolean {
  let count = 0;
  for (const name of names) if (isRestoredXattr(Buffer.from(name, 'latin1'))) count += 1;
  if (count !== wanted.length) return true;
  return wanted.some(({ name, value }) => !isEqual(getXattr(fd, name), value));
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}

function differentFlags(
  { fd, onFat }: HeldObject,
  { entryFlags, quotaProjectId }: Wanted,
  replay: ReplaySet,
): number {
  let found = 0;
  const { inodeMask, fatMask } = masksOf(replay.entryFlags);
  const flags = entryFlags & replay.entryFlags;
  if (inodeMask !== 0) {
    const wanted = flags === 0 ? 0 : inodeFlagsOfFeatures(flags);
    const different = ((getInodeFlags(fd) ?? 0) ^ wanted) & inodeMask;
    if ((different & EARLY_INODE_FLAGS) !== 0) found |= DIFFERENT.earlyFlags;
    if ((different & ~EARLY_INODE_FLAGS) !== 0) found |= DIFFERENT.lateFlags;
  }
  const fatWanted = flags === 0 ? 0 : fatAttributesOfFeatures(flags);
  if (fatMask !== 0 && (onFat || fatWanted !== 0)) {
    const different = ((getFatAttributes(fd) ?? 0) ^ fatWanted) & fatMask;
    if (different !== 0) found |= DIFFERENT.lateFlags;
  }
  if (replay.quotaProjectId && (getProjectId(fd) ?? 0) !== quotaProjectId) {
    found |= DIFFERENT.lateFlags;
  }
  return found;
}

const EARLY_INODE_FLAGS = inodeFlagsOfFeatures(EARLY_FLAGS);

interface FlagMasks {
  readonly features: number;
  readonly inodeMask: number;
  readonly fatMask: number;
}

/** Of the last question, which is nearly always the next one, too. */
let masks: FlagMasks = { features: 0, inodeMask: 0, fatMask: 0 };

function masksOf(features: number): FlagMasks {
  if (masks.features !== features) {
    const inodeMask = inodeFlagsOfFeatures(features);
    masks = { features, inodeMask, fatMask: fatAttributesOfFeatures(features) };
  }
  return masks;
}

const SPECIAL_BITS = 0o7000;
const APPEND_AND_IMMUTABLE = 0x30;
/** What decides who may do what with an object, or what it may do. */
const RIGHTS =
  DIFFERENT.owner |
  DIFFERENT.mode |
  DIFFERENT.accessAcl |
  DIFFERENT.fileCapabilities |
  DIFFERENT.selinuxLabel;

/**
 * Whether an object that is no directory may be changed where it is: it has no other name, and
 * whenever that is interrupted, nobody has got rights that he has neither before nor afterwards. So at
 * most one of the attributes that give rights may differ, and one call must change it.
 * @throws PipelineError without subject
 */
export function canBeChanged(object: HeldObject, wanted: Wanted, differences: number): boolean {
  const { fd, stat } = object;
  if (stat.linkCount !== 1 || (differences & DIFFERENT.earlyFlags) !== 0) return false;
  if (!isOneCall(stat, wanted, differences & RIGHTS)) return false;
  if (wanted.type !== 'file') return true;
  return ((getInodeFlags(fd) ?? 0) & APPEND_AND_IMMUTABLE) === 0;
}

function isOneCall({ mode }: FileStat, wanted: Wanted, rights: number): boolean {
  const { permissions, fileCapabilities } = wanted;
  switch (rights) {
    case 0:
    case DIFFERENT.mode:
    case DIFFERENT.fileCapabilities:
    case DIFFERENT.selinuxLabel:
      return true;
    case DIFFERENT.owner:
      // The system takes special bits and capabilities away together with the owner.
      return (mode & SPECIAL_BITS) === 0 && fileCapabilities === undefined;
    case DIFFERENT.accessAcl:
    case DIFFERENT.accessAcl | DIFFERENT.mode:
      // An ACL sets the permissions with it, but no special bits.
      return permissions !== undefined && ((mode ^ permissions) & SPECIAL_BITS) === 0;
    default:
      return false;
  }
}
