/**
 * Changes those attributes of an object that is there which differ from what it shall have, and no
 * others, in an order in which none undoes another. Used by tree extraction for directories, and for
 * everything else whose content is right (spec/formats/extraction.md, "Over an older version").
 */
import { chmodSync, chownSync, fchmodSync, fchownSync } from 'node:fs';
import { FEATURE } from '../../formats/feature-flags.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { ACCESS_ACL_XATTR, DEFAULT_ACL_XATTR } from '../os/posix-acl.ts';
import { descriptorPath } from '../os/target.node.ts';
import { setModificationTime } from '../os/times.node.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from '../os/xattr.node.ts';
import { minimalAcl } from './apply-acl.node.ts';
import { restoreLateFlags } from './apply-flags.node.ts';
import {
  checkKept,
  hasPermissions,
  PERMISSIONS,
  settingMode,
  settingOwner,
  WRITE_BITS,
} from './attributes.node.ts';
import { DIFFERENT, type HeldObject } from './differences.node.ts';
import { withFeature } from './feature-failure.ts';
import { CAPABILITY_XATTR, isRestoredXattr, SELINUX_XATTR } from './recorded-metadata.ts';
import type { ReplaySet } from './replay-set.ts';
import type { Wanted } from './wanted.node.ts';

/**
 * @param differences bits of `DIFFERENT`. Flags of directories are left alone.
 * @throws PipelineError without subject: `DENIED`, or `UNSUPPORTED` if the file system cannot keep it
 */
export function applyDifferences(
  object: HeldObject,
  wanted: Wanted,
  differences: number,
  replay: ReplaySet,
): void {
  const { fd } = object;
  const { owner, permissions, time } = wanted;
  const has = (bit: number) => (differences & bit) !== 0;
  if (has(DIFFERENT.owner) && owner !== undefined) {
    settingOwner(() => {
      if (isOpen(wanted)) fchownSync(fd, owner.uid, owner.gid);
      else chownSync(descriptorPath(fd), owner.uid, owner.gid);
    });
  }
  if (has(DIFFERENT.accessAcl | DIFFERENT.defaultAcl)) {
    withFeature(FEATURE.acl, () => applyAcls(fd, wanted, differences));
  }
  if (has(DIFFERENT.owner | DIFFERENT.mode | DIFFERENT.accessAcl)) applyMode(fd, wanted);
  if (has(DIFFERENT.xattrs)) withFeature(FEATURE.xattrs, () => applyXattrs(fd, wanted));
  if (has(DIFFERENT.fileCapabilities)) {
    const { fileCapabilities } = wanted;
    withFeature(FEATURE.fileCapabilities, () =>
      replaceXattr(fd, CAPABILITY_XATTR, fileCapabilities),
    );
  }
  if (has(DIFFERENT.selinuxLabel)) {
    const { selinuxLabel } = wanted;
    withFeature(FEATURE.selinux, () => replaceXattr(fd, SELINUX_XATTR, selinuxLabel));
  }
  if (has(DIFFERENT.time) && time !== undefined) setModificationTime(fd, time);
  checkKept(statDescriptor(fd), { owner, permissions, time });
  if (has(DIFFERENT.lateFlags)) {
    restoreLateFlags({ fd, node: wanted, mayHaveFlags: true, onFat: object.onFat }, replay);
  }
}

/** Everything else is open for its attributes only, and reached through its path in /proc. */
function isOpen({ type }: Wanted): boolean {
  return type === 'file' || type === 'directory';
}

/** Without a wanted ACL the permissions are set as one, which the system turns into a mere mode. */
function applyAcls(fd: number, wanted: Wanted, differences: number): void {
  if ((differences & DIFFERENT.accessAcl) !== 0) {
    setXattr(fd, ACCESS_ACL_XATTR, wanted.accessAcl ?? minimalAcl(wanted.permissions ?? 0));
  }
  if ((differences & DIFFERENT.defaultAcl) !== 0) {
    replaceXattr(fd, DEFAULT_ACL_XATTR, wanted.defaultAcl);
  }
}

/** Also where it was right: changing owner or ACL can take bits away. */
function applyMode(fd: number, wanted: Wanted): void {
  const { permissions, isReadOnly } = wanted;
  const now = statDescriptor(fd);
  if (permissions !== undefined) {
    if (!hasPermissions(now, permissions)) setMode(fd, wanted, permissions);
    return;
  }
  const mode = now.mode & PERMISSIONS;
  if (isReadOnly === true && (mode & WRITE_BITS) !== 0) setMode(fd, wanted, mode & ~WRITE_BITS);
  if (isReadOnly === false && (mode & WRITE_BITS) === 0) setMode(fd, wanted, mode | 0o200);
}

function setMode(fd: number, wanted: Wanted, mode: number): void {
  settingMode(() => {
    if (isOpen(wanted)) fchmodSync(fd, mode);
    else chmodSync(descriptorPath(fd), mode);
  });
}

/** Those that are not restored stay. */
function applyXattrs(fd: number, { xattrs }: Wanted): void {
  const kept = new Set(xattrs.map(({ name }) => latin1(name)));
  for (const name of listXattrs(fd)) {
    if (isRestoredXattr(name) && !kept.has(latin1(name))) removeXattr(fd, name);
  }
  for (const { name, value } of xattrs) {
    if (getXattr(fd, name)?.equals(value) !== true) setXattr(fd, name, value);
  }
}

function replaceXattr(fd: number, name: string, value: Uint8Array | undefined): void {
  if (value === undefined) removeXattr(fd, name);
  else setXattr(fd, name, value);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
