/** POSIX ACLs of extracted objects (spec/formats/catar.md, "ACLs"). Used by apply-metadata. */
import { ACCESS_ACL_XATTR, DEFAULT_ACL_XATTR, encodePosixAcl } from '../os/posix-acl.ts';
import { getXattr, removeXattr, setXattr } from '../os/xattr.node.ts';
import type { OwnerResolver } from './owner.node.ts';
import { wantedAcls } from './recorded-metadata.ts';
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
