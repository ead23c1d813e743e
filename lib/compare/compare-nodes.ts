/** In what two nodes differ, contents aside. Pure; used by the comparison of trees. */
import { equalBytes } from '../../formats/bytes.ts';
import type { AclEntries, AclEntry, CatarNode, Xattr } from '../../formats/catar-events.ts';

/** What can differ in a node, in the order in which it is told. */
export type NodeAspect =
  | 'type'
  | 'content'
  | 'size'
  | 'target'
  | 'device'
  | 'mode'
  | 'owner'
  | 'group'
  | 'mtime'
  | 'flags'
  | 'xattrs'
  | 'acl'
  | 'default-acl'
  | 'selinux'
  | 'file-capabilities'
  | 'project-id';

type Same = (a: CatarNode, b: CatarNode) => boolean;

const TYPE_BITS = 0o170000;

/** The content of a file is compared by whoever reads it. */
const SAME: readonly (readonly [aspect: NodeAspect, same: Same])[] = [
  ['type', (a, b) => a.type === b.type],
  ['size', (a, b) => a.size === b.size || a.type !== b.type],
  ['target', (a, b) => sameBytes(a.linkTarget, b.linkTarget) || a.type !== b.type],
  ['device', (a, b) => sameDevice(a, b) || a.type !== b.type],
  ['mode', (a, b) => (a.mode & ~TYPE_BITS) === (b.mode & ~TYPE_BITS)],
  ['owner', (a, b) => a.uid === b.uid && sameBytes(a.user, b.user)],
  ['group', (a, b) => a.gid === b.gid && sameBytes(a.group, b.group)],
  ['mtime', (a, b) => a.mtime === b.mtime],
  ['flags', (a, b) => a.entryFlags === b.entryFlags],
  ['xattrs', (a, b) => sameList(a.xattrs, b.xattrs, sameXattr)],
  ['acl', ({ acl: a }, { acl: b }) => sameAcl(a, b) && a?.groupObject === b?.groupObject],
  ['default-acl', (a, b) => sameDefaultAcl(a, b)],
  ['selinux', (a, b) => sameBytes(a.selinuxLabel, b.selinuxLabel)],
  ['file-capabilities', (a, b) => sameBytes(a.fileCapabilities, b.fileCapabilities)],
  ['project-id', (a, b) => a.quotaProjectId === b.quotaProjectId],
];

/** Both must be reduced to the same features. */
export function differentAspects(a: CatarNode, b: CatarNode): readonly NodeAspect[] {
  return SAME.filter(([, same]) => !same(a, b)).map(([aspect]) => aspect);
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}

function sameDevice({ device: a }: CatarNode, { device: b }: CatarNode): boolean {
  return a?.major === b?.major && a?.minor === b?.minor;
}

function sameXattr(a: Xattr, b: Xattr): boolean {
  return equalBytes(a.name, b.name) && equalBytes(a.value, b.value);
}

function sameAclEntry(a: AclEntry, b: AclEntry): boolean {
  return a.id === b.id && a.permissions === b.permissions && sameBytes(a.name, b.name);
}

function sameAcl(a: AclEntries | undefined, b: AclEntries | undefined): boolean {
  return (
    sameList(a?.users ?? [], b?.users ?? [], sameAclEntry) &&
    sameList(a?.groups ?? [], b?.groups ?? [], sameAclEntry)
  );
}

function sameDefaultAcl({ defaultAcl: a }: CatarNode, { defaultAcl: b }: CatarNode): boolean {
  return (
    sameAcl(a, b) &&
    a?.userObject === b?.userObject &&
    a?.groupObject === b?.groupObject &&
    a?.other === b?.other &&
    a?.mask === b?.mask
  );
}

function sameList<Item>(
  a: readonly Item[],
  b: readonly Item[],
  same: (a: Item, b: Item) => boolean,
): boolean {
  return a.length === b.length && a.every((item, i) => same(item, b[i]));
}
