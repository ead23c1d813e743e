/**
 * One node as records (spec/formats/catar.md, "Records" to "ACLs"). Used by the serializer. Refuses
 * what no reader would take back.
 */
import { U64_MAX } from './bytes.ts';
import type { AclEntries, AclEntry, CatarNode, Xattr } from './catar-events.ts';
import {
  type ArchiveRules,
  aclEntryFault,
  defaultAclFault,
  deviceFault,
  entryFault,
  type Fault,
  fileNameFault,
  nodeFault,
  permissionsFault,
  projectIdFault,
  textFault,
  xattrFault,
} from './catar-fields.ts';
import { ENTRY_PLACE, mayFollow, type RecordPlace } from './catar-order.ts';
import type { CatarRecordName } from './catar-records.ts';
import type { DecodeLimits } from './decode-limits.ts';
import { FormatError } from './errors.ts';
import { RECORD_TYPES } from './record-types.ts';
import { RecordWriter } from './record-writer.ts';

const NO_NAME = new Uint8Array();

export class NodeEncoder {
  readonly #rules: ArchiveRules;
  readonly #limits: DecodeLimits;
  readonly #writer = new RecordWriter();
  #node: CatarNode | undefined;
  #place: RecordPlace = ENTRY_PLACE;
  /** Archive offset of the first byte in the writer. */
  #offset = 0;

  /** @param limits of readers: what exceeds them is refused */
  constructor(rules: ArchiveRules, limits: DecodeLimits) {
    this.#rules = rules;
    this.#limits = limits;
  }

  /**
   * The root: ENTRY and all that follows it up to the first child.
   * @param offset in the archive, where the records will stand
   * @returns bytes that are valid until the next call
   * @throws FormatError
   */
  encodeRoot(node: CatarNode, offset: number): Uint8Array {
    this.#offset = offset;
    this.#encodeNode(node);
    return this.#writer.take();
  }

  /**
   * A child: FILENAME, ENTRY and all that follows it, up to the header of PAYLOAD or, in directories,
   * the first child. Otherwise like `encodeRoot`.
   */
  encodeChild(name: Uint8Array, node: CatarNode, offset: number): Uint8Array {
    this.#offset = offset;
    this.#writer.begin(RECORD_TYPES.FILENAME);
    this.#check('FILENAME', fileNameFault(name));
    this.#check('FILENAME', lengthFault(name, this.#limits.maxNameLength));
    this.#writer.text(name);
    this.#writer.end();
    this.#encodeNode(node);
    return this.#writer.take();
  }

  #encodeNode(node: CatarNode): void {
    this.#node = node;
    this.#place = ENTRY_PLACE;
    this.#entry(node);
    if (node.user !== undefined) this.#owner('USER', node.user);
    if (node.group !== undefined) this.#owner('GROUP', node.group);
    this.#xattrs(node.xattrs);
    this.#acls(node);
    if (node.selinuxLabel !== undefined) this.#text('SELINUX', node.selinuxLabel);
    if (node.fileCapabilities !== undefined) this.#fileCapabilities(node.fileCapabilities);
    if (node.quotaProjectId !== undefined) {
      this.#number('QUOTA_PROJID', node.quotaProjectId, projectIdFault(node.quotaProjectId));
    }
    this.#content(node);
  }

  #entry(node: CatarNode): void {
    const sameFlags = node.featureFlags === this.#rules.featureFlags;
    this.#check('ENTRY', sameFlags ? undefined : 'the feature flags of the archive');
    this.#check('ENTRY', entryFault(this.#rules, node));
    this.#check('ENTRY', nodeFault(node));
    this.#check('ENTRY', attributesFault(node, this.#limits));
    const writer = this.#writer;
    writer.begin(RECORD_TYPES.ENTRY);
    writer.u64(node.featureFlags);
    writer.u64(node.mode);
    writer.u64(node.entryFlags);
    writer.u64(node.uid);
    writer.u64(node.gid);
    writer.u64(node.mtime);
    writer.end();
  }

  /**
   * Owners come from the user database of a host and are written whatever they look like, because
   * the reference does so; only what would break the record is refused.
   */
  #owner(record: 'USER' | 'GROUP', name: Uint8Array): void {
    this.#begin(record, textFault(name) ?? lengthFault(name, this.#limits.maxOwnerNameLength));
    this.#writer.text(name);
    this.#writer.end();
  }

  #xattrs(xattrs: readonly Xattr[]): void {
    let previous: Xattr | undefined;
    for (const xattr of xattrs) {
      const fault =
        xattrFault(xattr, previous) ??
        lengthFault(xattr.name, this.#limits.maxXattrNameLength) ??
        lengthFault(xattr.value, this.#limits.maxXattrValueLength);
      this.#begin('XATTR', fault);
      this.#writer.text(xattr.name);
      this.#writer.bytes(xattr.value);
      this.#writer.end();
      previous = xattr;
    }
  }

  #acls({ acl, defaultAcl }: CatarNode): void {
    if (acl !== undefined) {
      this.#aclEntries('ACL_USER', 'ACL_GROUP', acl);
      const { groupObject } = acl;
      if (groupObject !== undefined) {
        this.#number('ACL_GROUP_OBJ', groupObject, permissionsFault(groupObject));
      }
    }
    if (defaultAcl === undefined) return;
    this.#begin('ACL_DEFAULT', defaultAclFault(defaultAcl));
    const { userObject, groupObject, other, mask } = defaultAcl;
    for (const permissions of [userObject, groupObject, other, mask]) {
      this.#writer.u64(permissions ?? U64_MAX);
    }
    this.#writer.end();
    this.#aclEntries('ACL_DEFAULT_USER', 'ACL_DEFAULT_GROUP', defaultAcl);
  }

  #aclEntries(user: CatarRecordName, group: CatarRecordName, acl: AclEntries): void {
    this.#aclList(user, acl.users);
    this.#aclList(group, acl.groups);
  }

  #aclList(record: CatarRecordName, entries: readonly AclEntry[]): void {
    let previous: AclEntry | undefined;
    for (const entry of entries) {
      const { id, permissions, name } = entry;
      this.#begin(record, aclEntryFault(this.#rules, entry, previous));
      this.#writer.u64(id);
      this.#writer.u64(permissions);
      if (name !== undefined) {
        const { maxOwnerNameLength } = this.#limits;
        this.#check(record, textFault(name) ?? lengthFault(name, maxOwnerNameLength));
        this.#writer.text(name);
      }
      this.#writer.end();
      previous = entry;
    }
  }

  #fileCapabilities(value: Uint8Array): void {
    this.#begin('FCAPS', lengthFault(value, this.#limits.maxXattrValueLength));
    this.#writer.bytes(value);
    this.#writer.end();
  }

  #content(node: CatarNode): void {
    const { type, size, linkTarget, device } = node;
    const valid = type === 'file' ? Number.isSafeInteger(size) && size >= 0 : size === 0;
    this.#check('PAYLOAD', valid ? undefined : 'a content length, and one only for files');
    if (type === 'file') {
      this.#begin('PAYLOAD', undefined);
      this.#writer.end(size);
    }
    const isDevice = type === 'character-device' || type === 'block-device';
    if (linkTarget !== undefined || type === 'symlink') {
      this.#text('SYMLINK', linkTarget ?? NO_NAME);
    }
    if (device === undefined) {
      this.#check('DEVICE', isDevice ? 'a device number' : undefined);
      return;
    }
    this.#begin('DEVICE', deviceFault(device));
    this.#writer.u64(device.major);
    this.#writer.u64(device.minor);
    this.#writer.end();
  }

  #text(record: CatarRecordName, text: Uint8Array): void {
    this.#begin(record, textFault(text) ?? lengthFault(text, this.#limits.maxTargetLength));
    this.#writer.text(text);
    this.#writer.end();
  }

  #number(record: CatarRecordName, value: number, fault: Fault): void {
    this.#begin(record, fault);
    this.#writer.u64(value);
    this.#writer.end();
  }

  /** Begins a record of the node, if it may come here and nothing is wrong with it. */
  #begin(record: CatarRecordName, fault: Fault): void {
    const place = this.#rules.places.get(record);
    const type = this.#node?.type;
    if (place === undefined) throw this.#error(record, 'a feature flag for it');
    if (type === undefined || !mayFollow(this.#place, place, type)) {
      throw this.#error(record, `a node that may have it, unlike a ${type}`);
    }
    this.#check(record, fault);
    this.#place = place;
    this.#writer.begin(RECORD_TYPES[record]);
  }

  #check(record: CatarRecordName, fault: Fault): void {
    if (fault !== undefined) throw this.#error(record, fault);
  }

  #error(record: CatarRecordName, expectation: string): FormatError {
    const offset = this.#offset + this.#writer.length;
    this.#writer.take();
    return new FormatError('catar', record, offset, `expected ${expectation}`);
  }
}

function lengthFault(bytes: Uint8Array, maxLength: number): Fault {
  return bytes.length <= maxLength ? undefined : `at most ${maxLength} bytes`;
}

function attributesFault({ xattrs, acl, defaultAcl }: CatarNode, limits: DecodeLimits): Fault {
  if (xattrs.length === 0 && acl === undefined && defaultAcl === undefined) return undefined;
  const { maxAttributeCount, maxAttributeBytes } = limits;
  const count = xattrs.length + entryCount(acl) + entryCount(defaultAcl);
  if (count > maxAttributeCount) return `at most ${maxAttributeCount} attributes and ACL entries`;
  const bytes = xattrs.reduce((sum, { name, value }) => sum + name.length + 1 + value.length, 0);
  return bytes > maxAttributeBytes ? `at most ${maxAttributeBytes} bytes of attributes` : undefined;
}

function entryCount(acl: AclEntries | undefined): number {
  return acl === undefined ? 0 : acl.users.length + acl.groups.length;
}
