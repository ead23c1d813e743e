/**
 * What an archive says, as values: the vocabulary between folder walk, serializer, parser and
 * extraction. Names, targets and labels are bytes; they become text only where they are printed.
 * Layout of the records behind them: spec/formats/catar.md.
 */

export type NodeType =
  | 'directory'
  | 'file'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket';

export interface Xattr {
  /** Full name with its namespace, for example `user.comment`. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

export interface AclEntry {
  /** Numeric user or group id, 0 when the archive carries no numbers. */
  readonly id: number;
  /** Read 4, write 2, execute 1. */
  readonly permissions: number;
  /** User or group name, where the archive carries names. */
  readonly name?: Uint8Array;
}

/** The part of an ACL that names users and groups, in archive order. */
export interface AclEntries {
  readonly users: readonly AclEntry[];
  readonly groups: readonly AclEntry[];
}

export interface AccessAcl extends AclEntries {
  /** Permissions of the owning group; present exactly if the ACL has a mask (which is in `mode`). */
  readonly groupObject?: number;
}

/** Default ACL of a directory. An absent value is `undefined`. */
export interface DefaultAcl extends AclEntries {
  readonly userObject?: number;
  readonly groupObject?: number;
  readonly other?: number;
  readonly mask?: number;
}

/** One file system object as recorded. Ids are the recorded (shifted) ones. */
export interface CatarNode {
  readonly type: NodeType;
  /** Feature flags of the archive; equal in all nodes. */
  readonly featureFlags: bigint;
  /** Type and permission bits as in `st_mode`, reduced to what the feature flags carry. */
  readonly mode: number;
  /** Bits 13-27 of the feature flags that are set on this object. */
  readonly entryFlags: number;
  readonly uid: number;
  readonly gid: number;
  /**
   * The owner on this machine, where recorded numbers are shifted; not part of the archive. Text
   * outputs call 0 `root`.
   */
  readonly localOwner?: { readonly uid: number; readonly gid: number };
  /** Nanoseconds since 1970, modulo 2^64; 0 without a time feature. */
  readonly mtime: bigint;
  readonly user?: Uint8Array;
  readonly group?: Uint8Array;
  /** Ascending by name; only on files and directories. */
  readonly xattrs: readonly Xattr[];
  readonly acl?: AccessAcl;
  readonly defaultAcl?: DefaultAcl;
  readonly selinuxLabel?: Uint8Array;
  readonly fileCapabilities?: Uint8Array;
  readonly quotaProjectId?: number;
  /** Content length in bytes; 0 for everything but files. */
  readonly size: number;
  /** Present exactly on symbolic links. */
  readonly linkTarget?: Uint8Array;
  /** Present exactly on devices. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Begin of a node. The root has an empty name. */
export interface EnterEvent {
  readonly kind: 'enter';
  readonly name: Uint8Array;
  readonly node: CatarNode;
  /** Archive offset of the node's ENTRY record; known where the events come from an archive. */
  readonly offset?: number;
}

/** A piece of the content of the file entered last. */
export interface DataEvent {
  readonly kind: 'data';
  /** Valid until the next event is taken. */
  readonly bytes: Uint8Array;
}

/** End of the node entered last and not yet left; every node is left, not only directories. */
export interface LeaveEvent {
  readonly kind: 'leave';
  /** Archive offset behind the node's last byte; known where the events come from an archive. */
  readonly end?: number;
}

export type CatarEvent = EnterEvent | DataEvent | LeaveEvent;

/** Where a node begins whose place is known without reading what comes before it. */
export interface NodeStart {
  /** Archive offset of its ENTRY. */
  readonly offset: number;
  readonly name: Uint8Array;
  /** Nodes above it. */
  readonly depth: number;
}
