/**
 * Records of one node, read into a {@link CatarNode} (spec/formats/catar.md, "ENTRY" to "ACLs").
 * Used by the parser, which knows where records begin and which of them may come.
 */
import { readSize, readU64, U64_MAX } from './bytes.ts';
import type { AccessAcl, AclEntry, CatarNode, DefaultAcl, Xattr } from './catar-events.ts';
import {
  type ArchiveRules,
  aclEntryFault,
  defaultAclFault,
  deviceFault,
  entryFault,
  type Fault,
  nodeFault,
  nodeTypeOfMode,
  ownerNameFault,
  permissionsFault,
  projectIdFault,
  textFault,
  xattrFault,
} from './catar-fields.ts';
import type { CatarRecordName } from './catar-records.ts';
import type { DecodeLimits } from './decode-limits.ts';

/** Where the body of a record lies. Valid only during the call that gets it. */
export interface RecordBody {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** The records that add something to a node, ENTRY aside. */
export type PropertyRecordName = Exclude<
  CatarRecordName,
  'ENTRY' | 'PAYLOAD' | 'FILENAME' | 'GOODBYE'
>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface AclLists {
  readonly users: AclEntry[];
  readonly groups: AclEntry[];
}

interface NodeDraft extends Mutable<CatarNode> {
  xattrs: Xattr[];
  acl?: Mutable<AccessAcl> & AclLists;
  defaultAcl?: DefaultAcl & AclLists;
}

type Apply = (decoder: NodeDecoder, node: NodeDraft, body: RecordBody) => Fault;

/** Bytes of id and permissions in an ACL record. */
const ACL_ENTRY_SIZE = 16;
const EXPECT_TEXT = 'a text that ends with NUL';

/** Collects one node after the other. All strings in the nodes are copies. */
export class NodeDecoder {
  readonly rules: ArchiveRules;
  readonly limits: DecodeLimits;
  #node: NodeDraft;
  #attributeCount = 0;
  #attributeBytes = 0;

  constructor(rules: ArchiveRules, limits: DecodeLimits) {
    this.rules = rules;
    this.limits = limits;
    this.#node = draft(rules.featureFlags);
  }

  /** The node begun last, as far as it is known. The caller may keep it. */
  get node(): CatarNode {
    return this.#node;
  }

  /** Starts a node. @param body of an ENTRY whose feature flags are those of the archive */
  begin({ bytes, start }: RecordBody): Fault {
    const node = draft(this.rules.featureFlags);
    node.mode = readSize(bytes, start + 8);
    node.type = nodeTypeOfMode(node.mode) ?? node.type;
    node.entryFlags = readSize(bytes, start + 16);
    node.uid = readSize(bytes, start + 24);
    node.gid = readSize(bytes, start + 32);
    node.mtime = readU64(bytes, start + 40);
    this.#node = node;
    this.#attributeCount = 0;
    this.#attributeBytes = 0;
    return entryFault(this.rules, node);
  }

  /** Adds what one record says. */
  apply(name: PropertyRecordName, body: RecordBody): Fault {
    return APPLY[name](this, this.#node, body);
  }

  /** Adds the length of a file's content. */
  setSize(size: number): void {
    this.#node.size = size;
  }

  /** To be asked when no further property record can come. */
  finish(): Fault {
    return nodeFault(this.#node);
  }

  /** Counts one attribute or ACL entry of the node. */
  countAttribute({ start, end }: RecordBody): Fault {
    this.#attributeCount++;
    this.#attributeBytes += end - start;
    const { maxAttributeCount, maxAttributeBytes } = this.limits;
    if (this.#attributeCount > maxAttributeCount) {
      return `at most ${maxAttributeCount} attributes and ACL entries on one node`;
    }
    if (this.#attributeBytes > maxAttributeBytes) {
      return `at most ${maxAttributeBytes} bytes of attributes and ACL entries on one node`;
    }
    return undefined;
  }
}

function draft(featureFlags: bigint): NodeDraft {
  return {
    type: 'file',
    featureFlags,
    mode: 0,
    entryFlags: 0,
    uid: 0,
    gid: 0,
    mtime: 0n,
    xattrs: [],
    size: 0,
  };
}

const APPLY: Readonly<Record<PropertyRecordName, Apply>> = {
  USER: (decoder, node, body) => {
    node.user = textOf(body, body.start);
    return readNameFault(decoder, node.user);
  },
  GROUP: (decoder, node, body) => {
    node.group = textOf(body, body.start);
    return readNameFault(decoder, node.group);
  },
  XATTR: (decoder, node, body) => applyXattr(decoder, node, body),
  ACL_USER: (decoder, node, body) => applyAclEntry(decoder, accessAcl(node).users, body),
  ACL_GROUP: (decoder, node, body) => applyAclEntry(decoder, accessAcl(node).groups, body),
  ACL_GROUP_OBJ: (_decoder, node, { bytes, start }) => {
    const permissions = readSize(bytes, start);
    accessAcl(node).groupObject = permissions;
    return permissionsFault(permissions);
  },
  ACL_DEFAULT: (_decoder, node, body) => {
    node.defaultAcl = defaultAclOf(body);
    return defaultAclFault(node.defaultAcl);
  },
  ACL_DEFAULT_USER: (decoder, node, body) => applyAclEntry(decoder, node.defaultAcl?.users, body),
  ACL_DEFAULT_GROUP: (decoder, node, body) => applyAclEntry(decoder, node.defaultAcl?.groups, body),
  SELINUX: (_decoder, node, body) => {
    node.selinuxLabel = textOf(body, body.start);
    return readTextFault(node.selinuxLabel);
  },
  FCAPS: (_decoder, node, { bytes, start, end }) => {
    node.fileCapabilities = copyBytes(bytes, start, end);
    return undefined;
  },
  QUOTA_PROJID: (_decoder, node, { bytes, start }) => {
    node.quotaProjectId = readSize(bytes, start);
    return projectIdFault(node.quotaProjectId);
  },
  SYMLINK: (_decoder, node, body) => {
    node.linkTarget = textOf(body, body.start);
    return readTextFault(node.linkTarget);
  },
  DEVICE: (_decoder, node, { bytes, start }) => {
    node.device = { major: readSize(bytes, start), minor: readSize(bytes, start + 8) };
    return deviceFault(node.device);
  },
};

function applyXattr(decoder: NodeDecoder, node: NodeDraft, body: RecordBody): Fault {
  const { bytes, start, end } = body;
  const { limits } = decoder;
  let nameEnd = start;
  while (nameEnd < end && bytes[nameEnd] !== 0) nameEnd++;
  if (nameEnd === end) return 'an attribute name that ends with NUL';
  if (nameEnd - start > limits.maxXattrNameLength) {
    return `an attribute name of at most ${limits.maxXattrNameLength} bytes`;
  }
  if (end - nameEnd - 1 > limits.maxXattrValueLength) {
    return `an attribute value of at most ${limits.maxXattrValueLength} bytes`;
  }
  const name = copyBytes(bytes, start, nameEnd);
  const xattr = { name, value: copyBytes(bytes, nameEnd + 1, end) };
  const fault = decoder.countAttribute(body) ?? xattrFault(xattr, node.xattrs.at(-1));
  node.xattrs.push(xattr);
  return fault;
}

function applyAclEntry(
  decoder: NodeDecoder,
  list: AclEntry[] | undefined,
  body: RecordBody,
): Fault {
  if (list === undefined) return 'an ACL_DEFAULT before it';
  const { bytes, start, end } = body;
  const id = readSize(bytes, start);
  const permissions = readSize(bytes, start + 8);
  let entry: AclEntry = { id, permissions };
  if (end > start + ACL_ENTRY_SIZE) {
    const name = textOf(body, start + ACL_ENTRY_SIZE);
    const fault = readNameFault(decoder, name);
    if (name === undefined || fault !== undefined) return fault;
    entry = { id, permissions, name };
  }
  const fault = decoder.countAttribute(body) ?? aclEntryFault(decoder.rules, entry, list.at(-1));
  list.push(entry);
  return fault;
}

function accessAcl(node: NodeDraft): Mutable<AccessAcl> & AclLists {
  node.acl ??= { users: [], groups: [] };
  return node.acl;
}

function defaultAclOf({ bytes, start }: RecordBody): DefaultAcl & AclLists {
  const field = (offset: number): number | undefined =>
    readU64(bytes, offset) === U64_MAX ? undefined : readSize(bytes, offset);
  const mask = field(start + 24);
  return {
    userObject: field(start),
    groupObject: field(start + 8),
    other: field(start + 16),
    ...(mask === undefined ? {} : { mask }),
    users: [],
    groups: [],
  };
}

function readNameFault(decoder: NodeDecoder, name: Uint8Array | undefined): Fault {
  return name === undefined ? EXPECT_TEXT : ownerNameFault(decoder.rules, name);
}

function readTextFault(text: Uint8Array | undefined): Fault {
  return text === undefined ? EXPECT_TEXT : textFault(text);
}

/** The bytes from `start` up to the NUL at the end of the body, which must be there. */
export function textOf({ bytes, end }: RecordBody, start: number): Uint8Array | undefined {
  return end > start && bytes[end - 1] === 0 ? copyBytes(bytes, start, end - 1) : undefined;
}

/** A copy also of a `Buffer`, whose own `slice` shares memory. */
function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
