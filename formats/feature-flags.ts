/**
 * Feature flags: which metadata an archive carries and which digest names its chunks. One 64-bit
 * word in every index and in every ENTRY record. Used by all codecs and by the options `--with`
 * and `--without`. Implements spec/formats/catar.md, "Feature flags".
 */

import { U64_MAX } from './bytes.ts';
import type { DigestName } from './chunk-id.ts';

/** The bits by name. */
export const FEATURE = {
  uids16: 1n << 0n,
  uids32: 1n << 1n,
  userNames: 1n << 2n,
  timeSec: 1n << 3n,
  timeUsec: 1n << 4n,
  timeNsec: 1n << 5n,
  time2Sec: 1n << 6n,
  readOnly: 1n << 7n,
  permissions: 1n << 8n,
  symlinks: 1n << 9n,
  deviceNodes: 1n << 10n,
  fifos: 1n << 11n,
  sockets: 1n << 12n,
  flagHidden: 1n << 13n,
  flagSystem: 1n << 14n,
  flagArchive: 1n << 15n,
  flagAppend: 1n << 16n,
  flagNoatime: 1n << 17n,
  flagCompr: 1n << 18n,
  flagNocow: 1n << 19n,
  flagNodump: 1n << 20n,
  flagDirsync: 1n << 21n,
  flagImmutable: 1n << 22n,
  flagSync: 1n << 23n,
  flagNocomp: 1n << 24n,
  flagProjinherit: 1n << 25n,
  subvolume: 1n << 26n,
  subvolumeReadOnly: 1n << 27n,
  xattrs: 1n << 28n,
  acl: 1n << 29n,
  selinux: 1n << 30n,
  fileCapabilities: 1n << 31n,
  quotaProjectId: 1n << 32n,
  excludeFile: 1n << 60n,
  sha512_256: 1n << 61n,
  excludeSubmounts: 1n << 62n,
  excludeNodump: 1n << 63n,
} as const;

/** The features that `--with` and `--without` know one by one, in the order of their bits. */
export const FEATURE_NAMES: readonly (readonly [name: string, bit: bigint])[] = [
  ['16bit-uids', FEATURE.uids16],
  ['32bit-uids', FEATURE.uids32],
  ['user-names', FEATURE.userNames],
  ['sec-time', FEATURE.timeSec],
  ['usec-time', FEATURE.timeUsec],
  ['nsec-time', FEATURE.timeNsec],
  ['2sec-time', FEATURE.time2Sec],
  ['read-only', FEATURE.readOnly],
  ['permissions', FEATURE.permissions],
  ['symlinks', FEATURE.symlinks],
  ['device-nodes', FEATURE.deviceNodes],
  ['fifos', FEATURE.fifos],
  ['sockets', FEATURE.sockets],
  ['flag-hidden', FEATURE.flagHidden],
  ['flag-system', FEATURE.flagSystem],
  ['flag-archive', FEATURE.flagArchive],
  ['flag-append', FEATURE.flagAppend],
  ['flag-noatime', FEATURE.flagNoatime],
  ['flag-compr', FEATURE.flagCompr],
  ['flag-nocow', FEATURE.flagNocow],
  ['flag-nodump', FEATURE.flagNodump],
  ['flag-dirsync', FEATURE.flagDirsync],
  ['flag-immutable', FEATURE.flagImmutable],
  ['flag-sync', FEATURE.flagSync],
  ['flag-nocomp', FEATURE.flagNocomp],
  ['flag-projinherit', FEATURE.flagProjinherit],
  ['subvolume', FEATURE.subvolume],
  ['subvolume-ro', FEATURE.subvolumeReadOnly],
  ['xattrs', FEATURE.xattrs],
  ['acl', FEATURE.acl],
  ['selinux', FEATURE.selinux],
  ['fcaps', FEATURE.fileCapabilities],
  ['quota-projid', FEATURE.quotaProjectId],
];

/** Names of the features among these flags, in the order of their bits. */
export function featureNames(flags: bigint): readonly string[] {
  return FEATURE_NAMES.filter(([, bit]) => (flags & bit) !== 0n).map(([name]) => name);
}

const NUMERIC_OWNERS = FEATURE.uids16 | FEATURE.uids32;
const TIMES = FEATURE.timeSec | FEATURE.timeUsec | FEATURE.timeNsec | FEATURE.time2Sec;
const SPECIAL_FILES = FEATURE.deviceNodes | FEATURE.fifos | FEATURE.sockets;
const FAT_ATTRIBUTES = FEATURE.flagHidden | FEATURE.flagSystem | FEATURE.flagArchive;
const CHATTR_FLAGS =
  FEATURE.flagAppend |
  FEATURE.flagNoatime |
  FEATURE.flagCompr |
  FEATURE.flagNocow |
  FEATURE.flagNodump |
  FEATURE.flagDirsync |
  FEATURE.flagImmutable |
  FEATURE.flagSync |
  FEATURE.flagNocomp |
  FEATURE.flagProjinherit;
const SUBVOLUMES = FEATURE.subvolume | FEATURE.subvolumeReadOnly;
const LABELS = FEATURE.acl | FEATURE.selinux | FEATURE.fileCapabilities | FEATURE.quotaProjectId;

/** Every feature that has a name: the default of whatever reads or writes a tree. */
export const ALL_FEATURES = FEATURE_NAMES.reduce((all, [, bit]) => all | bit, 0n);

const KNOWN_FLAGS = Object.values(FEATURE).reduce((all, bit) => all | bit, 0n);

/** Groups of features that `--with` and `--without` accept as well; not normalised. */
const FEATURE_GROUPS: ReadonlyMap<string, bigint> = new Map([
  [
    'best',
    FEATURE.uids32 |
      FEATURE.userNames |
      FEATURE.timeNsec |
      FEATURE.symlinks |
      SPECIAL_FILES |
      FAT_ATTRIBUTES |
      CHATTR_FLAGS |
      SUBVOLUMES |
      FEATURE.xattrs |
      LABELS,
  ],
  [
    'unix',
    FEATURE.uids16 | FEATURE.timeSec | FEATURE.permissions | FEATURE.symlinks | SPECIAL_FILES,
  ],
  ['fat', FEATURE.time2Sec | FEATURE.readOnly | FAT_ATTRIBUTES],
  ['chattr', CHATTR_FLAGS],
  ['fat-attrs', FAT_ATTRIBUTES],
  [
    'privileged',
    NUMERIC_OWNERS |
      FEATURE.userNames |
      FEATURE.deviceNodes |
      FEATURE.flagSystem |
      FEATURE.flagAppend |
      FEATURE.flagImmutable |
      SUBVOLUMES |
      LABELS,
  ],
  [
    'fuse',
    NUMERIC_OWNERS |
      TIMES |
      FEATURE.readOnly |
      FEATURE.permissions |
      FEATURE.symlinks |
      SPECIAL_FILES |
      FAT_ATTRIBUTES |
      CHATTR_FLAGS |
      FEATURE.xattrs,
  ],
  ['all', ALL_FEATURES],
]);

/** Names of the groups, for the help. */
export const FEATURE_GROUP_NAMES: readonly string[] = [...FEATURE_GROUPS.keys()];

/** The bits of one feature or group as the user names it; undefined for an unknown name. */
export function parseFeature(name: string): bigint | undefined {
  return FEATURE_NAMES.find(([known]) => known === name)?.[1] ?? FEATURE_GROUPS.get(name);
}

/** Removes what other flags imply and adds what they need, so that equal meanings are equal values. */
export function normaliseFlags(flags: bigint): bigint {
  const has = (bit: bigint) => (flags & bit) !== 0n;
  if (has(FEATURE.acl) && !has(NUMERIC_OWNERS | FEATURE.userNames)) {
    flags |= FEATURE.uids32 | FEATURE.userNames;
  }
  if (has(FEATURE.uids32)) flags &= ~FEATURE.uids16;
  if (has(FEATURE.timeNsec)) flags &= ~(FEATURE.timeUsec | FEATURE.timeSec | FEATURE.time2Sec);
  if (has(FEATURE.timeUsec)) flags &= ~(FEATURE.timeSec | FEATURE.time2Sec);
  if (has(FEATURE.timeSec)) flags &= ~FEATURE.time2Sec;
  if (has(FEATURE.acl)) flags &= ~(FEATURE.permissions | FEATURE.readOnly);
  if (has(FEATURE.permissions)) flags &= ~FEATURE.readOnly;
  if (has(FEATURE.excludeNodump)) flags &= ~FEATURE.flagNodump;
  if (has(FEATURE.subvolumeReadOnly)) flags |= FEATURE.subvolume;
  return flags;
}

/**
 * Refuses flags that no reader may accept.
 * @param report makes the error to throw from an expectation; it knows the record and its offset
 * @throws whatever `report` returns
 */
export function checkFlags(flags: bigint, report: (expectation: string) => Error): void {
  if (flags === U64_MAX) throw report('feature flags must be set');
  const unknown = flags & ~KNOWN_FLAGS;
  if (unknown !== 0n) throw report(`feature flags 0x${unknown.toString(16)} are not known`);
  if (normaliseFlags(flags) !== flags) {
    throw report(`feature flags 0x${flags.toString(16)} must be normalised`);
  }
}

/** The digest that names chunks and everything else under these flags. */
export function digestOfFlags(flags: bigint): DigestName {
  return (flags & FEATURE.sha512_256) !== 0n ? 'sha512-256' : 'sha256';
}

/** Modification times are multiples of this many nanoseconds; 0n if no time is recorded. */
export function timeGranularity(flags: bigint): bigint {
  if ((flags & FEATURE.timeNsec) !== 0n) return 1n;
  if ((flags & FEATURE.timeUsec) !== 0n) return 1000n;
  if ((flags & FEATURE.timeSec) !== 0n) return 1_000_000_000n;
  if ((flags & FEATURE.time2Sec) !== 0n) return 2_000_000_000n;
  return 0n;
}

/** What the options of a command say about features. */
export interface FeatureSelection {
  /** All `--with` together; 0n if there was none. */
  readonly with: bigint;
  /** All `--without` together. */
  readonly without: bigint;
  /** Used where `with` is empty: everything for trees, nothing for blobs. */
  readonly defaultWith: bigint;
  readonly excludeNodump: boolean;
  readonly excludeSubmounts: boolean;
  readonly excludeFile: boolean;
  readonly digest: DigestName;
}

/** The normalised flags that a selection amounts to. `with` replaces the default, it does not add. */
export function selectFlags(selection: FeatureSelection): bigint {
  let flags = (selection.with === 0n ? selection.defaultWith : selection.with) & ~selection.without;
  if (selection.excludeNodump) flags |= FEATURE.excludeNodump;
  if (selection.excludeSubmounts) flags |= FEATURE.excludeSubmounts;
  if (selection.excludeFile) flags |= FEATURE.excludeFile;
  if (selection.digest === 'sha512-256') flags |= FEATURE.sha512_256;
  return normaliseFlags(flags);
}

/** Adds every feature that can be derived from the recorded ones. */
function widenFlags(flags: bigint): bigint {
  const has = (bit: bigint) => (flags & bit) !== 0n;
  if (has(NUMERIC_OWNERS)) flags |= NUMERIC_OWNERS;
  if (has(TIMES)) flags |= TIMES;
  if (has(FEATURE.permissions)) flags |= FEATURE.readOnly;
  if (has(FEATURE.acl)) flags |= FEATURE.permissions | FEATURE.readOnly;
  if (has(FEATURE.subvolumeReadOnly)) flags |= FEATURE.subvolume;
  return flags;
}

/**
 * The features of an archive that are restored or shown under the user's mask.
 * @param mask features that the user lets pass; how the archive was made (its digest and what was
 * left out) is no feature and stays as it is
 */
export function maskFlags(archiveFlags: bigint, mask: bigint): bigint {
  return normaliseFlags(widenFlags(archiveFlags) & (widenFlags(mask) | ~ALL_FEATURES));
}
