/** An entry of a tree as JSON: everything that is known of it (spec/formats/text.md, "JSON"). */
import type { AclEntries, AclEntry, CatarNode } from '../formats/catar-events.ts';
import type { ChunkId } from '../formats/chunk-id.ts';
import { FEATURE, featureNames, timeGranularity } from '../formats/feature-flags.ts';
import { base64, textField } from './json-text.ts';

const NANOSECONDS = 1_000_000_000n;

export interface EntryJsonOptions {
  /** Features that are shown. */
  readonly shownFlags: bigint;
  readonly contentDigest?: ChunkId | undefined;
}

/** @param path from the root, whose own is empty and shown as `.` */
export function entryJson(
  path: Uint8Array,
  node: CatarNode,
  options: EntryJsonOptions,
): Record<string, unknown> {
  const { contentDigest } = options;
  return {
    ...textField('path', path.length === 0 ? Uint8Array.of(0x2e) : path),
    ...nodeJson(node, options.shownFlags),
    ...(contentDigest === undefined ? {} : { digest: contentDigest }),
  };
}

/** What the archive records of a node, as far as it is shown. */
export function nodeJson(node: CatarNode, shownFlags: bigint): Record<string, unknown> {
  const shows = (feature: bigint): boolean => (shownFlags & feature) !== 0n;
  const { acl, defaultAcl, device, linkTarget, selinuxLabel, fileCapabilities } = node;
  const numbers = shows(FEATURE.uids16 | FEATURE.uids32);
  const names = shows(FEATURE.userNames);
  const flags = featureNames(BigInt(node.entryFlags) & shownFlags);
  return {
    type: node.type,
    mode: (node.mode & 0o7777).toString(8).padStart(4, '0'),
    ...(node.type === 'file' ? { size: node.size } : {}),
    ...(linkTarget ? textField('target', linkTarget) : {}),
    ...(device ? { device } : {}),
    ...(numbers ? { uid: node.uid, gid: node.gid } : {}),
    ...(names && node.user ? textField('user', node.user) : {}),
    ...(names && node.group ? textField('group', node.group) : {}),
    ...(timeGranularity(shownFlags) === 0n ? {} : { mtime: isoTime(node.mtime) }),
    ...(flags.length > 0 ? { flags } : {}),
    ...(shows(FEATURE.xattrs) && node.xattrs.length > 0 ? { xattrs: xattrsJson(node) } : {}),
    ...(shows(FEATURE.acl) && acl ? { acl: aclJson(acl, { groupObject: acl.groupObject }) } : {}),
    ...(shows(FEATURE.acl) && defaultAcl ? { defaultAcl: defaultAclJson(defaultAcl) } : {}),
    ...(shows(FEATURE.selinux) && selinuxLabel ? textField('selinux', selinuxLabel) : {}),
    ...(shows(FEATURE.fileCapabilities) && fileCapabilities
      ? { fileCapabilities: base64(fileCapabilities) }
      : {}),
    ...(shows(FEATURE.quotaProjectId) && node.quotaProjectId !== undefined
      ? { projectId: node.quotaProjectId }
      : {}),
  };
}

/** ISO 8601 with nine digits. Times before 1970 are as late as they are recorded. */
function isoTime(mtime: bigint): string {
  const seconds = new Date(Number(mtime / NANOSECONDS) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${(mtime % NANOSECONDS).toString().padStart(9, '0')}Z`;
}

function xattrsJson({ xattrs }: CatarNode): readonly object[] {
  return xattrs.map(({ name, value }) => ({ ...textField('name', name), value: base64(value) }));
}

type Permissions = Readonly<Record<string, number | undefined>>;

function aclJson({ users, groups }: AclEntries, single: Permissions): object {
  const known = Object.entries(single).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(known.map(([name, value = 0]) => [name, permissionText(value)])),
    users: users.map(aclEntryJson),
    groups: groups.map(aclEntryJson),
  };
}

function defaultAclJson(acl: NonNullable<CatarNode['defaultAcl']>): object {
  const { userObject, groupObject, other, mask } = acl;
  return aclJson(acl, { userObject, groupObject, other, mask });
}

function aclEntryJson({ id, name, permissions }: AclEntry): object {
  return { id, ...(name ? textField('name', name) : {}), permissions: permissionText(permissions) };
}

function permissionText(bits: number): string {
  return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? 'x' : '-'}`;
}
