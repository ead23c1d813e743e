/**
 * Which features a file system can hold, so that `make` can tell which of the selected ones were of no
 * use (spec/command-line.md, "Verbose"). What is recorded does not depend on it.
 */
import { FEATURE, parseFeature } from '../../formats/feature-flags.ts';

const FAT_TYPE = 0x4d44;
const EXT4_TYPE = 0xef53;
const XFS_TYPE = 0x58465342;
const BTRFS_TYPE = 0x9123683e;
const TMPFS_TYPE = 0x01021994;
const FUSE_TYPE = 0x65735546;

function group(name: string): bigint {
  return parseFeature(name) ?? 0n;
}

const FAT = group('fat');
/** What every file system of a Unix system has. */
const BASE =
  group('unix') |
  FEATURE.uids32 |
  FEATURE.userNames |
  FEATURE.timeUsec |
  FEATURE.timeNsec |
  FEATURE.time2Sec |
  FEATURE.readOnly;
const LABELS = FEATURE.acl | FEATURE.selinux;
const EXT4 =
  BASE |
  LABELS |
  FEATURE.flagAppend |
  FEATURE.flagNoatime |
  FEATURE.flagNodump |
  FEATURE.flagDirsync |
  FEATURE.flagImmutable |
  FEATURE.flagSync |
  FEATURE.xattrs |
  FEATURE.fileCapabilities |
  FEATURE.quotaProjectId;
const XFS = EXT4 & ~FEATURE.flagDirsync;
const BTRFS =
  (EXT4 & ~FEATURE.quotaProjectId) |
  FEATURE.flagCompr |
  FEATURE.flagNocow |
  FEATURE.flagNocomp |
  FEATURE.subvolume |
  FEATURE.subvolumeReadOnly;

const FEATURES: ReadonlyMap<number, bigint> = new Map([
  [FAT_TYPE, FAT],
  [EXT4_TYPE, EXT4],
  [XFS_TYPE, XFS],
  [BTRFS_TYPE, BTRFS],
  [TMPFS_TYPE, BASE | LABELS],
  [FUSE_TYPE, group('fuse')],
]);

/** The features of a file system of this type, as statfs(2) numbers them. */
export function featuresOfFileSystem(type: number): bigint {
  return FEATURES.get(type) ?? BASE;
}
