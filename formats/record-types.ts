/**
 * Type numbers and end markers of all casync records (spec/formats/catar.md, index.md). A record
 * starts with its size in bytes, header included, and its type, each 64 bits.
 */

/** Bytes of a record's size and type. */
export const RECORD_HEADER_SIZE = 16;

export const RECORD_TYPES = {
  INDEX: 0x96824d9c7b129ff9n,
  TABLE: 0xe75b9e112f17417dn,
  ENTRY: 0x1396fabcea5bbb51n,
  USER: 0xf453131aaeeaccb3n,
  GROUP: 0x25eb6ac969396a52n,
  XATTR: 0xb8157091f80bc486n,
  ACL_USER: 0x297dc88b2ef12fafn,
  ACL_GROUP: 0x36f2acb56cb3dd0bn,
  ACL_GROUP_OBJ: 0x23047110441f38f3n,
  ACL_DEFAULT: 0xfe3eeda6823c8cd0n,
  ACL_DEFAULT_USER: 0xbdf03df9bd010a91n,
  ACL_DEFAULT_GROUP: 0xa0cb1168782d1f51n,
  SELINUX: 0x46faf0602fd26c59n,
  FCAPS: 0xf7267db0afed0629n,
  QUOTA_PROJID: 0x161baf2d8772a72bn,
  PAYLOAD: 0x8b9e1d93d6dcffc9n,
  SYMLINK: 0x664a6fb6830e0d6cn,
  DEVICE: 0xac3dace369dfe643n,
  FILENAME: 0x6dbb6ebcb3161f0bn,
  GOODBYE: 0xdfd35c5e8327c403n,
} as const;

/** Last field of an index table. */
export const TABLE_TAIL_MARKER = 0x4b4f050e5549ecd1n;

/** Last field of a goodbye table. */
export const GOODBYE_TAIL_MARKER = 0x57446fa533702943n;
