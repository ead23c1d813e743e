/**
 * How the file flags of the archive (feature bits 13-27, spec/formats/catar.md) map to the flags of
 * Linux file systems. Used by the folder walk and by extraction.
 */

/** A feature bit and the bit the file system uses for the same thing. */
interface FlagPair {
  readonly feature: number;
  readonly native: number;
}

/** Flags of chattr(1), as FS_IOC_GETFLAGS reports them. */
const CHATTR_FLAGS: readonly FlagPair[] = [
  { feature: 2 ** 16, native: 0x20 }, // append only
  { feature: 2 ** 17, native: 0x80 }, // no access time
  { feature: 2 ** 18, native: 0x4 }, // compress
  { feature: 2 ** 19, native: 0x800000 }, // no copy on write
  { feature: 2 ** 20, native: 0x40 }, // no dump
  { feature: 2 ** 21, native: 0x10000 }, // synchronous directory
  { feature: 2 ** 22, native: 0x10 }, // immutable
  { feature: 2 ** 23, native: 0x8 }, // synchronous
  { feature: 2 ** 24, native: 0x400 }, // do not compress
  { feature: 2 ** 25, native: 0x20000000 }, // project id goes to children
];

/** Attributes of FAT. */
const FAT_FLAGS: readonly FlagPair[] = [
  { feature: 2 ** 13, native: 0x02 }, // hidden
  { feature: 2 ** 14, native: 0x04 }, // system
  { feature: 2 ** 15, native: 0x20 }, // archive
];

/** All feature bits that stand for flags of chattr(1). */
export const CHATTR_FEATURES = sum(CHATTR_FLAGS, 'feature');
/** All feature bits that stand for FAT attributes. */
export const FAT_FEATURES = sum(FAT_FLAGS, 'feature');
/** Feature bit: the directory is a btrfs subvolume. */
export const SUBVOLUME_FEATURE = 2 ** 26;
/** Feature bit: the subvolume is read-only. */
export const SUBVOLUME_READ_ONLY_FEATURE = 2 ** 27;
/** chattr(1) flag `d`: leave this file out of backups. */
export const NO_DUMP_INODE_FLAG = 0x40;

/** Feature bits for flags read from a file system. */
export function featuresOfInodeFlags(native: number): number {
  return translate(CHATTR_FLAGS, native, 'native', 'feature');
}

/** Inode flags for feature bits; others than chattr bits are left out. */
export function inodeFlagsOfFeatures(features: number): number {
  return translate(CHATTR_FLAGS, features, 'feature', 'native');
}

/** Feature bits for FAT attributes read from a file system. */
export function featuresOfFatAttributes(native: number): number {
  return translate(FAT_FLAGS, native, 'native', 'feature');
}

/** FAT attributes for feature bits; others than FAT bits are left out. */
export function fatAttributesOfFeatures(features: number): number {
  return translate(FAT_FLAGS, features, 'feature', 'native');
}

type Side = 'feature' | 'native';

function translate(pairs: readonly FlagPair[], flags: number, from: Side, to: Side): number {
  let result = 0;
  for (const pair of pairs) if ((flags & pair[from]) !== 0) result |= pair[to];
  return result;
}

function sum(pairs: readonly FlagPair[], side: Side): number {
  return pairs.reduce((total, pair) => total + pair[side], 0);
}
