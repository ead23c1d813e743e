/**
 * Everything that an object shall have besides its content, in values of the system: for objects that
 * are there already and are compared with it (spec/formats/extraction.md, "Over an older version").
 */
import type { CatarNode, NodeType, Xattr } from '../../formats/catar-events.ts';
import { type MetadataRules, restoredTime } from './apply-metadata.node.ts';
import { type Attributes, PERMISSIONS, WRITE_BITS } from './attributes.node.ts';
import { isRestoredXattr, labelValue, wantedAcls } from './recorded-metadata.ts';

/** What is not restored is undefined, or not looked at according to the replay set. */
export interface Wanted extends Attributes {
  readonly type: NodeType;
  /** Where this is all that is restored of the mode: whether nobody may write. */
  readonly isReadOnly: boolean | undefined;
  /** Values of the attributes that hold ACLs; undefined for none. */
  readonly accessAcl: Uint8Array | undefined;
  readonly defaultAcl: Uint8Array | undefined;
  /** None but these, of those that are restored. */
  readonly xattrs: readonly Xattr[];
  readonly fileCapabilities: Uint8Array | undefined;
  /** With the NUL at its end. */
  readonly selinuxLabel: Uint8Array | undefined;
  /** Bits 13-27 of the feature flags. */
  readonly entryFlags: number;
  /** 0 for none. */
  readonly quotaProjectId: number;
}

/** @throws PipelineError without subject, unknown owner */
export function wantedOf(node: CatarNode, rules: MetadataRules): Wanted {
  const { replay, owners } = rules;
  const { type, mode, selinuxLabel } = node;
  const hasMode = type !== 'symlink';
  const acls = replay.acl && hasMode ? wantedAcls(node, owners) : undefined;
  return {
    type,
    owner: owners.ownerOf(node),
    permissions: replay.permissions && hasMode ? mode & PERMISSIONS : undefined,
    isReadOnly:
      replay.readOnly && !replay.permissions && hasMode ? (mode & WRITE_BITS) === 0 : undefined,
    time: replay.times ? restoredTime(node) : undefined,
    accessAcl: acls?.access,
    defaultAcl: acls?.inherited,
    xattrs: node.xattrs.filter(({ name }) => isRestoredXattr(name)),
    fileCapabilities: node.fileCapabilities,
    selinuxLabel: selinuxLabel && labelValue(selinuxLabel),
    entryFlags: node.entryFlags,
    quotaProjectId: node.quotaProjectId ?? 0,
  };
}

const NO_XATTRS: readonly Xattr[] = [];

/** What has an owner, permissions and a time, and no other attributes. */
export function wantedOfSimple(
  type: 'file' | 'symlink',
  { owner, permissions, time }: Attributes,
): Wanted {
  return {
    type,
    owner,
    permissions,
    isReadOnly: undefined,
    time,
    accessAcl: undefined,
    defaultAcl: undefined,
    xattrs: NO_XATTRS,
    fileCapabilities: undefined,
    selinuxLabel: undefined,
    entryFlags: 0,
    quotaProjectId: 0,
  };
}
