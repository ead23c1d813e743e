/** Lines of `mtree`: one node each, compared by scripts (spec/formats/text.md, "mtree"). */
import type { CatarNode, NodeType } from './catar-events.ts';
import type { ChunkId, DigestName } from './chunk-id.ts';
import { escapeBytes } from './escape.ts';
import { FEATURE, timeGranularity } from './feature-flags.ts';
import { shownPath } from './listing.ts';

export interface MtreeOptions {
  /** Features that are shown. */
  readonly shownFlags: bigint;
  /** Digest of a file's content, and the algorithm by whose name it is shown. */
  readonly digest?: { readonly label: DigestName; readonly value: ChunkId };
}

const TYPE_NAMES: Readonly<Record<NodeType, string>> = {
  directory: 'dir',
  file: 'file',
  symlink: 'link',
  'character-device': 'char',
  'block-device': 'block',
  fifo: 'fifo',
  socket: 'socket',
};

const FLAG_NAMES: readonly (readonly [bit: bigint, name: string])[] = [
  [FEATURE.flagHidden, 'hidden'],
  [FEATURE.flagSystem, 'system'],
  [FEATURE.flagArchive, 'archive'],
  [FEATURE.flagAppend, 'sappend'],
  [FEATURE.flagNodump, 'nodump'],
  [FEATURE.flagImmutable, 'simmutable'],
];

const DIGEST_LABELS: Readonly<Record<DigestName, string>> = {
  sha256: 'sha256digest',
  'sha512-256': 'sha512256digest',
};

const NANOSECONDS_PER_SECOND = 1_000_000_000n;

/** Seconds and nine digits, as recorded: times before 1970 are huge. */
export function timeText(mtime: bigint): { readonly seconds: bigint; readonly fraction: string } {
  const fraction = (mtime % NANOSECONDS_PER_SECOND).toString().padStart(9, '0');
  return { seconds: mtime / NANOSECONDS_PER_SECOND, fraction };
}

/** The recorded name, or `root` for what has id 0 on this machine, or nothing. */
export function userName({ user, uid, localOwner }: CatarNode): string | undefined {
  return shownName(user, localOwner?.uid ?? uid);
}

/** The same for groups. */
export function groupName({ group, gid, localOwner }: CatarNode): string | undefined {
  return shownName(group, localOwner?.gid ?? gid);
}

function shownName(name: Uint8Array | undefined, localId: number): string | undefined {
  if (name) return escapeBytes(name);
  return localId === 0 ? 'root' : undefined;
}

/**
 * All flags that the archive records, also those masked out, which count as not set. Nodes that
 * cannot have flags show all of them as set, as the original does.
 */
function flagsText(node: CatarNode, shownFlags: bigint): string {
  const mayHaveFlags = node.type === 'file' || node.type === 'directory';
  const set = mayHaveFlags ? BigInt(node.entryFlags) & shownFlags : node.featureFlags;
  return FLAG_NAMES.filter(([bit]) => (node.featureFlags & bit) !== 0n)
    .map(([bit, name]) => ((set & bit) === 0n ? `no${name}` : name))
    .join(',');
}

function ownerFields(node: CatarNode, shownFlags: bigint): string[] {
  const fields: string[] = [];
  if ((shownFlags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n) {
    fields.push(`uid=${node.uid}`, `gid=${node.gid}`);
  }
  if ((shownFlags & FEATURE.userNames) !== 0n) {
    const user = userName(node);
    const group = groupName(node);
    if (user !== undefined) fields.push(`uname=${user}`);
    if (group !== undefined) fields.push(`gname=${group}`);
  }
  return fields;
}

/** A line of `mtree`, with its newline. */
export function mtreeLine(path: Uint8Array, node: CatarNode, options: MtreeOptions): string {
  const { shownFlags, digest } = options;
  const mode = (node.mode & 0o7777).toString(8).padStart(4, '0');
  const fields = [shownPath(path), `type=${TYPE_NAMES[node.type]}`, `mode=${mode}`];
  if (node.type === 'file') fields.push(`size=${node.size}`);
  if (node.linkTarget) fields.push(`link=${escapeBytes(node.linkTarget)}`);
  if (node.device) fields.push(`device=linux,${node.device.major},${node.device.minor}`);
  fields.push(...ownerFields(node, shownFlags));
  const flags = flagsText(node, shownFlags);
  if (flags !== '') fields.push(`flags=${flags}`);
  if (timeGranularity(shownFlags) !== 0n) {
    const { seconds, fraction } = timeText(node.mtime);
    fields.push(`time=${seconds}.${fraction}`);
  }
  if (digest) fields.push(`${DIGEST_LABELS[digest.label]}=${digest.value}`);
  return `${fields.join(' ')}\n`;
}
