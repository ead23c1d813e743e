/**
 * Gives a new object its recorded attributes, in the one order in which none of them undoes
 * another: owner, mode, ACL, attributes, capabilities, label, time; then it gets its name; then
 * the flags that forbid further change (spec/formats/extraction.md, "Tree"). Used by tree.node.ts.
 */
import { chmodSync, chownSync, fchmodSync, fchownSync } from 'node:fs';
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { descriptorPath } from '../os/target.node.ts';
import { type FileTime, fileTime, setModificationTime } from '../os/times.node.ts';
import { setXattr } from '../os/xattr.node.ts';
import { restoreAcl } from './apply-acl.node.ts';
import {
  checkKept,
  PERMISSIONS,
  settingMode,
  settingOwner,
  WRITE_BITS,
} from './attributes.node.ts';
import { withFeature } from './feature-failure.ts';
import type { Owner, OwnerResolver } from './owner.node.ts';
import {
  CAPABILITY_XATTR,
  isRestoredXattr,
  labelValue,
  recordedTime,
  SELINUX_XATTR,
} from './recorded-metadata.ts';
import type { ReplaySet } from './replay-set.ts';
import type { Restored } from './restored.ts';

export interface MetadataRules {
  readonly replay: ReplaySet;
  readonly owners: OwnerResolver;
}

/**
 * Everything but flags that protect the object.
 * @throws PipelineError without subject: `DENIED`, or `UNSUPPORTED` if the file system cannot keep it
 */
export function restoreMetadata(object: Restored, rules: MetadataRules): void {
  const { fd, node } = object;
  const { replay } = rules;
  const owner = rules.owners.ownerOf(node);
  if (owner !== undefined) setOwner(object, owner);
  if (node.type !== 'symlink') {
    restoreMode(object, replay);
    if (replay.acl) withFeature(FEATURE.acl, () => restoreAcl(object, rules.owners));
  }
  if (replay.xattrs) withFeature(FEATURE.xattrs, () => restoreXattrs(object));
  const { fileCapabilities, selinuxLabel } = node;
  if (replay.fileCapabilities && fileCapabilities !== undefined) {
    withFeature(FEATURE.fileCapabilities, () => setXattr(fd, CAPABILITY_XATTR, fileCapabilities));
  }
  if (replay.selinux && selinuxLabel !== undefined) {
    const value = labelValue(selinuxLabel);
    withFeature(FEATURE.selinux, () => setXattr(fd, SELINUX_XATTR, value));
  }
  const time = replay.times ? restoredTime(node) : undefined;
  if (time !== undefined) setModificationTime(fd, time);
  const keepsMode = replay.permissions && node.type !== 'symlink';
  const permissions = keepsMode ? node.mode & PERMISSIONS : undefined;
  checkKept(statDescriptor(fd), { owner, permissions, time });
}

/** Everything else is open for its attributes only, and reached through its path in /proc. */
function isOpen({ node }: Restored): boolean {
  return node.type === 'file' || node.type === 'directory';
}

function setOwner(object: Restored, { uid, gid }: Owner): void {
  settingOwner(() => {
    if (isOpen(object)) fchownSync(object.fd, uid, gid);
    else chownSync(descriptorPath(object.fd), uid, gid);
  });
}

function restoreMode(object: Restored, replay: ReplaySet): void {
  const recorded = object.node.mode & PERMISSIONS;
  if (replay.permissions) {
    setMode(object, recorded);
    return;
  }
  if (!replay.readOnly) return;
  const mode = statDescriptor(object.fd).mode & PERMISSIONS;
  const isReadOnly = (recorded & WRITE_BITS) === 0;
  if (isReadOnly) setMode(object, mode & ~WRITE_BITS);
  else if ((mode & WRITE_BITS) === 0) setMode(object, mode | 0o200);
}

function setMode(object: Restored, mode: number): void {
  settingMode(() => {
    if (isOpen(object)) fchmodSync(object.fd, mode);
    else chmodSync(descriptorPath(object.fd), mode);
  });
}

/** Attributes of other kinds (`security.`, `system.`) have records of their own or are not restored. */
function restoreXattrs({ fd, node }: Restored): void {
  for (const { name, value } of node.xattrs) if (isRestoredXattr(name)) setXattr(fd, name, value);
}

export function restoredTime(node: CatarNode): FileTime {
  return fileTime(recordedTime(node));
}
