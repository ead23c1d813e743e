/**
 * Every upper bound that decoding of foreign bytes obeys. The defaults are casync's own values, so
 * that whatever the original writes can be read.
 */
export interface DecodeLimits {
  /** Largest chunk in bytes, plain or stored. */
  readonly maxChunkSize: number;
  /** Most chunks in one index. */
  readonly maxChunkCount: number;
  /** Longest file name in bytes. */
  readonly maxNameLength: number;
  /** Longest link target or SELinux label in bytes. */
  readonly maxTargetLength: number;
  /** Longest user or group name in bytes. */
  readonly maxOwnerNameLength: number;
  /** Longest name of an extended attribute in bytes. */
  readonly maxXattrNameLength: number;
  /** Longest value of an extended attribute or of file capabilities in bytes. */
  readonly maxXattrValueLength: number;
  /** Most extended attributes plus ACL entries on one node. */
  readonly maxAttributeCount: number;
  /** Most bytes of extended attributes and ACL entries on one node. */
  readonly maxAttributeBytes: number;
  /** Nodes from the root to a leaf, both counted. */
  readonly maxDepth: number;
  /** Most entries of one directory. */
  readonly maxDirectoryEntries: number;
}

export const DEFAULT_DECODE_LIMITS: DecodeLimits = {
  maxChunkSize: 128 * 1024 * 1024,
  maxChunkCount: 100_000_000,
  maxNameLength: 65536,
  maxTargetLength: 4095,
  maxOwnerNameLength: 255,
  maxXattrNameLength: 255,
  maxXattrValueLength: 65536,
  maxAttributeCount: 65536,
  // Own value: the other two bounds together would allow 4 GiB on one node.
  maxAttributeBytes: 64 * 1024 * 1024,
  maxDepth: 64,
  maxDirectoryEntries: 50_000_000,
};
