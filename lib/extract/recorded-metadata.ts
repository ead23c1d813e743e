/**
 * What recorded metadata is on a file system: ACLs, times and owners as the system has them. Used where
 * it is restored and where archives are mounted, so that both show the same.
 */
import { byteKey } from '../../formats/bytes.ts';
import type { AclEntries, AclEntry, CatarNode } from '../../formats/catar-events.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { encodePosixAcl, type PosixAcl } from '../os/posix-acl.ts';

export const CAPABILITY_XATTR = 'security.capability';
export const SELINUX_XATTR = 'security.selinux';

const RESTORED_XATTR = /^(?:user|trusted)\../s;

/** Whether extended attributes of this name are restored, and removed where the archive has none. */
export function isRestoredXattr(name: Uint8Array): boolean {
  return RESTORED_XATTR.test(byteKey(name));
}

/** The value of {@link SELINUX_XATTR}. */
export function labelValue(label: Uint8Array): Uint8Array {
  const value = new Uint8Array(label.length + 1);
  value.set(label);
  return value;
}

/** A recorded id as it is on this machine: modulo the range, then shifted. */
export function shiftedId(recorded: number, by: UidShift | undefined): number {
  return by === undefined ? recorded : (recorded % by.range) + by.shift;
}

/** Nanoseconds since 1970 of the earliest time, in 1901, that is taken for wrapped around. */
const EARLIEST_TIME = -(2n ** 31n) * 1_000_000_000n;

/**
 * Nanoseconds since 1970, negative before. Times before 1970 are recorded modulo 2^64. File systems
 * keep times from 1901 on, whose recorded values are larger than those of any later time that ext4, XFS
 * or a signed count of nanoseconds can hold; so nothing is lost by reading them as what they were.
 */
export function recordedTime({ mtime }: Pick<CatarNode, 'mtime'>): bigint {
  const signed = BigInt.asIntN(64, mtime);
  return signed < 0n && signed >= EARLIEST_TIME ? signed : mtime;
}

/** Finds the number of a user or group in an ACL. */
export interface IdResolver {
  idOf(database: 'user' | 'group', entry: AclEntry): number;
}

/** Values of the attributes that hold ACLs. */
export interface AclValues {
  readonly access: Uint8Array | undefined;
  /** The default ACL of a directory. */
  readonly inherited: Uint8Array | undefined;
}

/** The recorded ACLs; undefined where the mode says it all. @throws whatever `owners` throws */
export function wantedAcls(node: CatarNode, owners: IdResolver): AclValues {
  const access = accessAcl(node, owners);
  const { defaultAcl } = node;
  const inherited = defaultAcl && { ...defaultAcl, ...namedEntries(defaultAcl, owners) };
  return {
    access: access && encodePosixAcl(access),
    inherited: inherited && encodePosixAcl(inherited),
  };
}

/** The archive has the mask in place of the group bits of the mode. */
function accessAcl({ acl, mode }: CatarNode, owners: IdResolver): PosixAcl | undefined {
  if (acl === undefined) return undefined;
  const isMinimal = acl.groupObject === undefined && acl.users.length + acl.groups.length === 0;
  if (isMinimal) return undefined;
  const groupBits = (mode >> 3) & 7;
  return {
    userObject: (mode >> 6) & 7,
    groupObject: acl.groupObject ?? groupBits,
    ...(acl.groupObject === undefined ? {} : { mask: groupBits }),
    other: mode & 7,
    ...namedEntries(acl, owners),
  };
}

function namedEntries(acl: AclEntries, owners: IdResolver): Pick<PosixAcl, 'users' | 'groups'> {
  return {
    users: acl.users.map((entry) => ({
      id: owners.idOf('user', entry),
      permissions: entry.permissions,
    })),
    groups: acl.groups.map((entry) => ({
      id: owners.idOf('group', entry),
      permissions: entry.permissions,
    })),
  };
}
