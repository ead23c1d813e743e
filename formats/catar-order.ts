/**
 * Which record may follow which (spec/formats/catar.md, "Order"): the one table of the grammar.
 * The parser asks it about each record it reads, the serializer about each record it writes.
 */
import type { NodeType } from './catar-events.ts';
import type { CatarRecordName } from './catar-records.ts';
import { FEATURE } from './feature-flags.ts';

/** The place of one kind of record within a node. */
export interface RecordPlace {
  readonly name: CatarRecordName;
  /** Records of a node come by ascending rank. */
  readonly rank: number;
  /** True if several may follow each other. */
  readonly repeats: boolean;
  /** The kinds of nodes that may have it. */
  readonly on: ReadonlySet<NodeType>;
  /** Feature flag that allows it; 0 if it needs none. */
  readonly feature: bigint;
}

const ANY: readonly NodeType[] = [
  'directory',
  'file',
  'symlink',
  'character-device',
  'block-device',
  'fifo',
  'socket',
];
const NOT_SYMLINK = ANY.filter((type) => type !== 'symlink');
const DIRECTORY: readonly NodeType[] = ['directory'];
const FILE: readonly NodeType[] = ['file'];

interface GrammarRow extends Omit<RecordPlace, 'rank' | 'on'> {
  readonly on: readonly NodeType[];
}

/** The records of a node in their order. ENTRY comes first and is the only one that must. */
const GRAMMAR: readonly GrammarRow[] = [
  { name: 'ENTRY', repeats: false, on: ANY, feature: 0n },
  { name: 'USER', repeats: false, on: ANY, feature: FEATURE.userNames },
  { name: 'GROUP', repeats: false, on: ANY, feature: FEATURE.userNames },
  { name: 'XATTR', repeats: true, on: NOT_SYMLINK, feature: FEATURE.xattrs },
  { name: 'ACL_USER', repeats: true, on: NOT_SYMLINK, feature: FEATURE.acl },
  { name: 'ACL_GROUP', repeats: true, on: NOT_SYMLINK, feature: FEATURE.acl },
  { name: 'ACL_GROUP_OBJ', repeats: false, on: NOT_SYMLINK, feature: FEATURE.acl },
  { name: 'ACL_DEFAULT', repeats: false, on: DIRECTORY, feature: FEATURE.acl },
  { name: 'ACL_DEFAULT_USER', repeats: true, on: DIRECTORY, feature: FEATURE.acl },
  { name: 'ACL_DEFAULT_GROUP', repeats: true, on: DIRECTORY, feature: FEATURE.acl },
  { name: 'SELINUX', repeats: false, on: ANY, feature: FEATURE.selinux },
  { name: 'FCAPS', repeats: false, on: FILE, feature: FEATURE.fileCapabilities },
  {
    name: 'QUOTA_PROJID',
    repeats: false,
    on: ['directory', 'file'],
    feature: FEATURE.quotaProjectId,
  },
  { name: 'PAYLOAD', repeats: false, on: FILE, feature: 0n },
  { name: 'SYMLINK', repeats: false, on: ['symlink'], feature: 0n },
  { name: 'DEVICE', repeats: false, on: ['character-device', 'block-device'], feature: 0n },
  { name: 'FILENAME', repeats: true, on: DIRECTORY, feature: 0n },
  { name: 'GOODBYE', repeats: false, on: DIRECTORY, feature: 0n },
];

const PLACES: readonly RecordPlace[] = GRAMMAR.map((row, rank) => ({
  ...row,
  rank,
  on: new Set(row.on),
}));

/** The record that begins every node. */
export const ENTRY_PLACE: RecordPlace = PLACES[0];

/** The records that an archive with these feature flags may have, by name. */
export function recordPlaces(featureFlags: bigint): ReadonlyMap<CatarRecordName, RecordPlace> {
  const allowed = PLACES.filter(({ feature }) => feature === 0n || (featureFlags & feature) !== 0n);
  return new Map(allowed.map((place) => [place.name, place]));
}

/**
 * True if `next` may come in a node of this type whose last record so far is `previous`. The ENTRY,
 * which tells the type, is not asked for.
 */
export function mayFollow(previous: RecordPlace, next: RecordPlace, type: NodeType): boolean {
  if (!next.on.has(type)) return false;
  return next.rank > previous.rank || (next.repeats && next.rank === previous.rank);
}

/**
 * True for nodes without any content record, where the next one is of their folder: they end where it
 * goes on.
 */
export function endsBefore(type: NodeType, next: CatarRecordName): boolean {
  if (type !== 'fifo' && type !== 'socket') return false;
  return next === 'FILENAME' || next === 'GOODBYE';
}
