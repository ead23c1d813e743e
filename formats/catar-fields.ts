/**
 * What the fields of archive records may hold (spec/formats/catar.md, "Reading"): one rule each, for
 * the parser after reading and for the serializer before writing. A rule returns undefined, or what
 * was expected instead.
 */

import { compareBytes, U64_MAX } from './bytes.ts';
import type { AclEntry, CatarNode, DefaultAcl, NodeType, Xattr } from './catar-events.ts';
import { type RecordPlace, recordPlaces } from './catar-order.ts';
import type { CatarRecordName } from './catar-records.ts';
import { FEATURE, timeGranularity } from './feature-flags.ts';

/** What a field should have been; undefined if it is right. */
export type Fault = string | undefined;

const TYPE_MASK = 0o170000;
const PERMISSION_MASK = 0o7777;
const SYMLINK_PERMISSIONS = 0o777;

/** The value of unused 16-bit and 32-bit ids. */
const NO_ID_16 = 0xffff;
const NO_ID_32 = 0xffff_ffff;
const MAX_ACL_PERMISSIONS = 7;
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;
const MAX_PROJECT_ID = 0xffff_ffff;

const NODE_TYPES: ReadonlyMap<number, NodeType> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o020000, 'character-device'],
  [0o060000, 'block-device'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);

/** The kind of node that the type bits of a mode say, or undefined for bits nobody uses. */
export function nodeTypeOfMode(mode: number): NodeType | undefined {
  return NODE_TYPES.get(mode & TYPE_MASK);
}

/** The feature flags of one archive, resolved into what they mean for records and fields. */
export interface ArchiveRules {
  readonly featureFlags: bigint;
  /** The records the archive may have, by name. */
  readonly places: ReadonlyMap<CatarRecordName, RecordPlace>;
  /** The kinds of nodes the archive may have. */
  readonly nodeTypes: ReadonlySet<NodeType>;
  readonly permissions: 'all' | 'read-only' | 'none';
  /** Bits that entry flags may have: of files, and of directories. */
  readonly fileFlags: number;
  readonly directoryFlags: number;
  /** True if the archive has names of users and groups. */
  readonly userNames: boolean;
  /** Ids are below this; 0 if the archive has none. */
  readonly idEnd: number;
  /** Times are multiples of this many nanoseconds; 0n if the archive has none. */
  readonly timeStep: bigint;
}

/** The rules asked for last: whoever looks into an archive here and there asks for them again and again. */
let known: ArchiveRules | undefined;

/** @param featureFlags normalised */
export function archiveRules(featureFlags: bigint): ArchiveRules {
  if (known?.featureFlags !== featureFlags) known = resolveRules(featureFlags);
  return known;
}

function resolveRules(featureFlags: bigint): ArchiveRules {
  const has = (flag: bigint): boolean => (featureFlags & flag) !== 0n;
  const nodeTypes = new Set<NodeType>(['directory', 'file']);
  if (has(FEATURE.symlinks)) nodeTypes.add('symlink');
  if (has(FEATURE.deviceNodes)) nodeTypes.add('character-device').add('block-device');
  if (has(FEATURE.fifos)) nodeTypes.add('fifo');
  if (has(FEATURE.sockets)) nodeTypes.add('socket');
  // Bits 13 to 27 of the feature flags are the entry flags; the last two are of subvolumes.
  const subvolumeBits = FEATURE.subvolume | FEATURE.subvolumeReadOnly;
  const directoryBits = featureFlags & 0x0fff_e000n;
  return {
    featureFlags,
    places: recordPlaces(featureFlags),
    nodeTypes,
    permissions: permissionsOf(has),
    fileFlags: Number(directoryBits & ~subvolumeBits),
    directoryFlags: Number(directoryBits),
    userNames: has(FEATURE.userNames),
    idEnd: has(FEATURE.uids32) ? NO_ID_32 : has(FEATURE.uids16) ? NO_ID_16 : 0,
    timeStep: timeGranularity(featureFlags),
  };
}

function permissionsOf(has: (flag: bigint) => boolean): ArchiveRules['permissions'] {
  if (has(FEATURE.permissions | FEATURE.acl)) return 'all';
  return has(FEATURE.readOnly) ? 'read-only' : 'none';
}

/** Fields of ENTRY that belong to one node. */
type EntryFields = Pick<CatarNode, 'type' | 'mode' | 'entryFlags' | 'uid' | 'gid' | 'mtime'>;

export function entryFault(rules: ArchiveRules, entry: EntryFields): Fault {
  return (
    modeFault(rules, entry) ??
    entryFlagsFault(rules, entry) ??
    idFault(rules, entry.uid) ??
    idFault(rules, entry.gid) ??
    timeFault(rules, entry.mtime)
  );
}

/** A mode as the feature flags allow it, and of the type that the node claims. */
function modeFault(rules: ArchiveRules, { type, mode }: EntryFields): Fault {
  const known = mode >= 0 && mode <= (TYPE_MASK | PERMISSION_MASK);
  if (!known || nodeTypeOfMode(mode) !== type || !rules.nodeTypes.has(type)) {
    return 'a mode with a file type that the feature flags allow';
  }
  const permissions = mode & PERMISSION_MASK;
  if (type === 'symlink') {
    return permissions === SYMLINK_PERMISSIONS ? undefined : 'permissions 0777 on a symbolic link';
  }
  if (rules.permissions === 'all') return undefined;
  const [writable, readOnly] = type === 'directory' ? [0o777, 0o555] : [0o666, 0o444];
  if (permissions === writable) return undefined;
  if (permissions === readOnly && rules.permissions === 'read-only') return undefined;
  return 'permissions reduced to what the feature flags carry';
}

function entryFlagsFault(rules: ArchiveRules, { type, entryFlags }: EntryFields): Fault {
  const allowed =
    type === 'directory' ? rules.directoryFlags : type === 'file' ? rules.fileFlags : 0;
  // Bitwise operators would not see bits above 31.
  const known = entryFlags >= 0 && entryFlags <= 0x0fff_ffff && (entryFlags & ~allowed) === 0;
  return known ? undefined : 'entry flags that the feature flags and the file type allow';
}

function idFault(rules: ArchiveRules, id: number): Fault {
  if (id === 0) return undefined;
  if (rules.idEnd === 0) return 'owner 0, as the archive has no numeric owners';
  const valid = id > 0 && id < rules.idEnd && id !== NO_ID_16;
  return valid ? undefined : `an owner below ${rules.idEnd} and not ${NO_ID_16}`;
}

function timeFault(rules: ArchiveRules, mtime: bigint): Fault {
  if (rules.timeStep === 0n) {
    return mtime === 0n ? undefined : 'time 0, as the archive has no times';
  }
  const valid = mtime !== U64_MAX && (rules.timeStep === 1n || mtime % rules.timeStep === 0n);
  return valid ? undefined : `a time that is a multiple of ${rules.timeStep} ns`;
}

/** The name of a directory entry: one path component. */
export function fileNameFault(name: Uint8Array): Fault {
  const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  if (dots || name.includes(0x2f) || name.includes(0)) {
    return 'a name that is not empty, "." or ".." and has no "/" or NUL';
  }
  return undefined;
}

/**
 * A user or group name as it is read. The reference writes whatever the user database says but reads
 * only `[A-Za-z_][A-Za-z0-9_-]*`, so that its own archives with `a.b`, `machine$`, `DOM\user` or
 * `müller` are lost. Here everything may follow the first byte that cannot break a line of a user
 * database, and the first byte may also be beyond ASCII. `root` and names that look like numbers or
 * options stay refused. Where ids are stored as names only, an unknown id is written in decimal.
 */
export function ownerNameFault(rules: ArchiveRules, name: Uint8Array): Fault {
  if (name.length > 0 && name.every(isOwnerNameByte)) {
    if (isOwnerNameStart(name[0]) && !isRoot(name)) return undefined;
    if (rules.idEnd === 0 && name.every(isDigit)) return undefined;
  }
  return 'the name of a user or group';
}

function isOwnerNameStart(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || byte === 0x5f || byte >= 0x80;
}

function isOwnerNameByte(byte: number): boolean {
  return byte >= 0x20 && byte !== 0x2f && byte !== 0x3a && byte !== 0x7f;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isRoot(name: Uint8Array): boolean {
  return (
    name.length === 4 &&
    name[0] === 0x72 &&
    name[1] === 0x6f &&
    name[2] === 0x6f &&
    name[3] === 0x74
  );
}

/** @param previous the attribute before it on the same node */
export function xattrFault(xattr: Xattr, previous: Xattr | undefined): Fault {
  const dot = xattr.name.indexOf(0x2e);
  if (dot <= 0 || dot === xattr.name.length - 1 || xattr.name.includes(0)) {
    return 'an attribute name with a namespace';
  }
  if (previous !== undefined && compareBytes(previous.name, xattr.name) >= 0) {
    return 'attributes in strictly ascending order';
  }
  return undefined;
}

/** All but the form of the name. @param previous the entry before it in the same list */
export function aclEntryFault(
  rules: ArchiveRules,
  entry: AclEntry,
  previous: AclEntry | undefined,
): Fault {
  if (entry.name !== undefined && !rules.userNames) {
    return 'no name, as the archive has no names of owners';
  }
  const ascending = previous === undefined || compareAclEntries(previous, entry) < 0;
  return (
    idFault(rules, entry.id) ??
    permissionsFault(entry.permissions) ??
    (ascending ? undefined : 'ACL entries in strictly ascending order')
  );
}

/** The order of ACL entries in an archive: id, without name before named, name, permissions. */
function compareAclEntries(a: AclEntry, b: AclEntry): number {
  if (a.id !== b.id) return a.id - b.id;
  const names = compareBytes(a.name ?? new Uint8Array(), b.name ?? new Uint8Array());
  return names === 0 ? a.permissions - b.permissions : names;
}

/** Permissions in an ACL. */
export function permissionsFault(permissions: number | undefined): Fault {
  const valid = permissions !== undefined && permissions >= 0 && permissions <= MAX_ACL_PERMISSIONS;
  return valid ? undefined : `permissions from 0 to ${MAX_ACL_PERMISSIONS}`;
}

/** The fixed part of a default ACL. */
export function defaultAclFault(acl: DefaultAcl): Fault {
  return (
    permissionsFault(acl.userObject) ??
    permissionsFault(acl.groupObject) ??
    permissionsFault(acl.other) ??
    (acl.mask === undefined ? undefined : permissionsFault(acl.mask))
  );
}

/** What only all records of a node together can say. */
export function nodeFault(node: Pick<CatarNode, 'acl' | 'defaultAcl'>): Fault {
  const { acl, defaultAcl } = node;
  if (acl !== undefined && acl.groupObject === undefined) {
    if (acl.users.length + acl.groups.length > 0) {
      return 'ACL_GROUP_OBJ besides named users and groups';
    }
  }
  if (defaultAcl !== undefined && defaultAcl.mask === undefined) {
    if (defaultAcl.users.length + defaultAcl.groups.length > 0) {
      return 'a mask in ACL_DEFAULT besides named users and groups';
    }
  }
  return undefined;
}

/** A link target or label. */
export function textFault(text: Uint8Array): Fault {
  const valid = text.length > 0 && !text.includes(0);
  return valid ? undefined : 'a text that is not empty and has no NUL';
}

export function projectIdFault(id: number): Fault {
  return id >= 1 && id <= MAX_PROJECT_ID ? undefined : `a project from 1 to ${MAX_PROJECT_ID}`;
}

export function deviceFault(device: { readonly major: number; readonly minor: number }): Fault {
  const { major, minor } = device;
  const valid = major >= 0 && major <= MAX_MAJOR && minor >= 0 && minor <= MAX_MINOR;
  return valid ? undefined : `a device number up to ${MAX_MAJOR}:${MAX_MINOR}`;
}
