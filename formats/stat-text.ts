/** The text of `stat`: all that is known of one node (spec/formats/text.md, "stat"). */
import type { CatarNode } from './catar-events.ts';
import type { ChunkId } from './chunk-id.ts';
import { escapeBytes } from './escape.ts';
import { FEATURE, timeGranularity } from './feature-flags.ts';
import { modeText, shownPath } from './listing.ts';
import { groupName, timeText, userName } from './mtree.ts';

export interface StatTextOptions {
  /** Features that are shown. */
  readonly shownFlags: bigint;
  /** Archive offset of the node. */
  readonly offset: number;
  /** Seconds since 1970 as `YYYY-MM-DD HH:MM:SS` in local time. */
  readonly localTime: (seconds: number) => string;
  /** Digest of the content, for files and block devices. */
  readonly contentDigest?: ChunkId;
  /** Digest of the whole node, for all but directories. */
  readonly hardLinkDigest?: ChunkId;
}

const LABEL_WIDTH = 8;

const ATTRIBUTES: readonly (readonly [bit: bigint, letter: string])[] = [
  [FEATURE.flagSync, 'S'],
  [FEATURE.flagDirsync, 'D'],
  [FEATURE.flagImmutable, 'i'],
  [FEATURE.flagAppend, 'a'],
  [FEATURE.flagNodump, 'd'],
  [FEATURE.flagNoatime, 'A'],
  [FEATURE.flagCompr, 'c'],
  [FEATURE.flagNocomp, 'N'],
  [FEATURE.flagNocow, 'C'],
  [FEATURE.flagProjinherit, 'P'],
];

const FAT_ATTRIBUTES: readonly (readonly [bit: bigint, letter: string])[] = [
  [FEATURE.flagHidden, 'h'],
  [FEATURE.flagSystem, 's'],
  [FEATURE.flagArchive, 'a'],
];

function letters(flags: bigint, table: typeof ATTRIBUTES): string {
  return table.map(([bit, letter]) => ((flags & bit) === 0n ? '-' : letter)).join('');
}

/** `name (id)`, or what of it is known and shown. */
function ownerText(name: string | undefined, id: number, shownFlags: bigint): string | undefined {
  const showsId = (shownFlags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n;
  const shownName = (shownFlags & FEATURE.userNames) === 0n ? undefined : name;
  if (!showsId) return shownName;
  return shownName === undefined ? `${id}` : `${shownName} (${id})`;
}

type Line = readonly [label: string, value: string | number | undefined];

/** All lines, with their newlines. */
export function statText(path: Uint8Array, node: CatarNode, options: StatTextOptions): string {
  const { shownFlags } = options;
  const lines: Line[] = [
    ['File', shownPath(path)],
    ['Mode', modeText(node.mode)],
  ];
  if (node.type === 'file' || node.type === 'directory') {
    const flags = BigInt(node.entryFlags) & shownFlags;
    lines.push(
      ['FileAttr', letters(flags, ATTRIBUTES)],
      ['FATAttr', letters(flags, FAT_ATTRIBUTES)],
    );
  }
  lines.push(['Offset', options.offset]);
  if (timeGranularity(shownFlags) !== 0n) {
    const { seconds, fraction } = timeText(node.mtime);
    lines.push(['Time', `${options.localTime(Number(seconds))}.${fraction}`]);
  }
  lines.push(
    ['Size', node.type === 'file' ? node.size : undefined],
    ['User', ownerText(userName(node), node.uid, shownFlags)],
    ['Group', ownerText(groupName(node), node.gid, shownFlags)],
    ['ProjID', node.quotaProjectId],
    ['Target', node.linkTarget && escapeBytes(node.linkTarget)],
    ['Device', node.device && `${node.device.major}:${node.device.minor}`],
  );
  for (const { name, value } of node.xattrs) {
    lines.push(['XAttr', `${escapeBytes(name)} → ${escapeBytes(value)}`]);
  }
  lines.push(['Digest', options.contentDigest], ['HLDigest', options.hardLinkDigest]);
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => `${label.padStart(LABEL_WIDTH)}: ${value}\n`)
    .join('');
}
