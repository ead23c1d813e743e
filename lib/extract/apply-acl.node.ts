/** POSIX ACLs of extracted objects (spec/formats/catar.md, "ACLs"). Used by apply-metadata. */
import type { AclEntries, CatarNode } from '../../formats/catar-events.ts';
import {
  ACCESS_ACL_XATTR,
  DEFAULT_ACL_XATTR,
  encodePosixAcl,
  type PosixAcl,
} from '../os/posix-acl.ts';
import { getXattr, removeXattr, setXattr } from '../os/xattr.node.ts';
import type { OwnerResolver } from './owner.node.ts';
import type { Restored } from './restored.ts';

/**
 * Sets the recorded ACLs of a new object, and removes those it got from its directory. Mode and owner
 * are set already. @throws PipelineError
 */
export function restoreAcl({ fd, node, inheritsAcl }: Restored, owners: OwnerResolver): void {
  const { access, inherited } = wantedAcls(node, owners);
  if (access !== undefined) setXattr(fd, ACCESS_ACL_XATTR, access);
  else if (inheritsAcl) removeAcl(fd, ACCESS_ACL_XATTR);
  if (node.type !== 'directory') return;
  if (inherited !== undefined) setXattr(fd, DEFAULT_ACL_XATTR, inherited);
  else if (inheritsAcl) removeAcl(fd, DEFAULT_ACL_XATTR);
}

/** Values of the attributes that hold ACLs. */
export interface AclValues {
  readonly access: Uint8Array | undefined;
  /** The default ACL of a directory. */
  readonly inherited: Uint8Array | undefined;
}

/** The recorded ACLs; undefined where the mode says it all. @throws PipelineError, unknown owner */
export function wantedAcls(node: CatarNode, owners: OwnerResolver): AclValues {
  const access = accessAcl(node, owners);
  const { defaultAcl } = node;
  const inherited = defaultAcl && { ...defaultAcl, ...namedEntries(defaultAcl, owners) };
  return {
    access: access && encodePosixAcl(access),
    inherited: inherited && encodePosixAcl(inherited),
  };
}

/** The ACL that says no more than a mode. */
export function minimalAcl(mode: number): Uint8Array {
  return encodePosixAcl({
    userObject: (mode >> 6) & 7,
    groupObject: (mode >> 3) & 7,
    other: mode & 7,
    users: [],
    groups: [],
  });
}

/** Asks first: what cannot have an ACL cannot be asked to remove one. */
function removeAcl(fd: number, name: string): void {
  if (getXattr(fd, name) !== undefined) removeXattr(fd, name);
}

/** The archive has the mask in place of the group bits of the mode. */
function accessAcl({ acl, mode }: CatarNode, owners: OwnerResolver): PosixAcl | undefined {
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

function namedEntries(acl: AclEntries, owners: OwnerResolver): Pick<PosixAcl, 'users' | 'groups'> {
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
