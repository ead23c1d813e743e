/** POSIX ACLs of extracted objects (spec/formats/catar.md, "ACLs"). Used by apply-metadata. */
import type { AclEntries } from '../../formats/catar-events.ts';
import {
  ACCESS_ACL_XATTR,
  DEFAULT_ACL_XATTR,
  encodePosixAcl,
  type PosixAcl,
} from '../os/posix-acl.ts';
import { getXattr, removeXattr, setXattr } from '../os/xattr.node.ts';
import type { OwnerResolver } from './owner.node.ts';
import type { Restored } from './restored.ts';

/** Sets the recorded ACLs, and removes others. Mode and owner are set already. @throws PipelineError */
export function restoreAcl(object: Restored, owners: OwnerResolver): void {
  const { fd, node } = object;
  const mayHaveOther = object.existed || object.inheritsAcl;
  const access = accessAcl(object, owners);
  if (access !== undefined) setXattr(fd, ACCESS_ACL_XATTR, encodePosixAcl(access));
  else if (mayHaveOther) removeAcl(fd, ACCESS_ACL_XATTR);
  if (node.type !== 'directory') return;
  const { defaultAcl } = node;
  if (defaultAcl !== undefined) {
    const acl = { ...defaultAcl, ...namedEntries(defaultAcl, owners) };
    setXattr(fd, DEFAULT_ACL_XATTR, encodePosixAcl(acl));
  } else if (mayHaveOther) removeAcl(fd, DEFAULT_ACL_XATTR);
}

/** Asks first: what cannot have an ACL cannot be asked to remove one. */
function removeAcl(fd: number, name: string): void {
  if (getXattr(fd, name) !== undefined) removeXattr(fd, name);
}

/** The archive has the mask in place of the group bits of the mode. */
function accessAcl({ node }: Restored, owners: OwnerResolver): PosixAcl | undefined {
  const { acl, mode } = node;
  if (acl === undefined) return undefined;
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
