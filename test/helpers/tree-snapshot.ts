/**
 * What a tree on disk is, in comparable form: content and metadata of every node. Independent of the
 * code under test, except that extended attributes and inode flags are read through lib/os.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import fse from 'fs-extra';
import { compareBytes } from '../../formats/bytes.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { getInodeFlags } from '../../lib/os/inode-flags.node.ts';
import { getXattr, listXattrs } from '../../lib/os/xattr.node.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** What of a node takes part in the comparison; everything unless said otherwise. */
export interface SnapshotOptions {
  readonly owner?: boolean;
  readonly mode?: boolean;
  readonly times?: boolean;
  /** Extended attributes; ACLs and capabilities are among them. */
  readonly xattrs?: boolean;
  readonly flags?: boolean;
}

/** Escaped path -> description of the node. The root is `.`. */
export type Snapshot = ReadonlyMap<string, string>;

/** chattr(1) flags that a user sets; others (extents, inline data) are the file system's own. */
const USER_FLAGS = 0x10 | 0x20 | 0x40 | 0x80 | 0x8 | 0x10000 | 0x4 | 0x400 | 0x800000;

/** Describes every node of the tree. */
export function snapshotTree(root: string | Uint8Array, options: SnapshotOptions = {}): Snapshot {
  const nodes = new Map<string, string>();
  const visit = (path: Buffer, shown: string): void => {
    const isDirectory = lstatSync(path).isDirectory();
    nodes.set(shown, describeNode(path, options));
    if (!isDirectory) return;
    const names = readdirSync(path, { encoding: 'buffer' }).sort(compareBytes);
    for (const name of names) {
      const prefix = shown === '.' ? '' : `${shown}/`;
      visit(Buffer.concat([path, Buffer.from('/'), name]), prefix + escapeBytes(name));
    }
  };
  visit(Buffer.from(root), '.');
  return nodes;
}

function describeNode(path: Buffer, options: SnapshotOptions): string {
  const stat = lstatSync(path, { bigint: true });
  const type = Number(stat.mode) & constants.S_IFMT;
  const parts = [`type=${type.toString(8)}`];
  if (options.mode !== false) parts.push(`mode=${(Number(stat.mode) & 0o7777).toString(8)}`);
  if (options.owner !== false) parts.push(`owner=${stat.uid}:${stat.gid}`);
  if (options.times !== false) parts.push(`mtime=${stat.mtimeNs}`);
  if (type === constants.S_IFREG) {
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    parts.push(`size=${stat.size}`, `content=${digest}`);
  }
  if (type === constants.S_IFLNK) {
    parts.push(`target=${escapeBytes(readlinkSync(path, { encoding: 'buffer' }))}`);
  }
  if (type === constants.S_IFBLK || type === constants.S_IFCHR) parts.push(`device=${stat.rdev}`);
  if (options.xattrs !== false) parts.push(...describeXattrs(path));
  const hasFlags = type === constants.S_IFREG || type === constants.S_IFDIR;
  if (options.flags !== false && hasFlags) parts.push(`flags=${flagsOf(path)}`);
  return parts.join(' ');
}

const ACL_HEADER_LENGTH = 4;
const ACL_ENTRY_LENGTH = 8;

/** Entries for the same number, which shifted owners can lead to, have no order that matters. */
function valueText(name: Buffer, value: Buffer | undefined): string {
  if (value === undefined || !name.toString().startsWith('system.posix_acl')) {
    return `${value?.toString('hex')}`;
  }
  const entries: string[] = [];
  for (let at = ACL_HEADER_LENGTH; at < value.length; at += ACL_ENTRY_LENGTH) {
    entries.push(value.subarray(at, at + ACL_ENTRY_LENGTH).toString('hex'));
  }
  return entries.sort().join(',');
}

function describeXattrs(path: Buffer): string[] {
  return listXattrs(path)
    .map((name) => `${escapeBytes(name)}=${valueText(name, getXattr(path, name))}`)
    .sort();
}

function flagsOf(path: Buffer): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    return ((getInodeFlags(fd) ?? 0) & USER_FLAGS).toString(16);
  } finally {
    closeSync(fd);
  }
}

/** One line for each node that is not the same in both, at most `limit` of them. */
export function snapshotDifferences(a: Snapshot, b: Snapshot, limit = 20): readonly string[] {
  const lines: string[] = [];
  for (const [path, node] of a) {
    const other = b.get(path);
    if (other === undefined) lines.push(`${path}: only in the first`);
    else if (other !== node) lines.push(`${path}: ${wordsThatDiffer(node, other)}`);
  }
  for (const path of b.keys()) if (!a.has(path)) lines.push(`${path}: only in the second`);
  return lines.slice(0, limit);
}

function wordsThatDiffer(a: string, b: string): string {
  const [left, right] = [a.split(' '), b.split(' ')];
  const first = left.filter((word) => !right.includes(word));
  const second = right.filter((word) => !left.includes(word));
  return `${first.join(' ') || '-'} / ${second.join(' ') || '-'}`;
}

/** One line for each difference between two trees on disk; none if they are equal. */
export function compareTrees(
  a: string | Uint8Array,
  b: string | Uint8Array,
  options: SnapshotOptions = {},
): readonly string[] {
  return snapshotDifferences(snapshotTree(a, options), snapshotTree(b, options));
}

/** A folder outside the reach of a command, which must stay as it is. */
export interface CanaryTree {
  /** Holds `secret`, `dir/inner` and the link `link` to `secret`. */
  readonly path: string;
  /** Fails the test if anything in the folder was touched. */
  assertUntouched(): void;
}

/** Makes a canary; removed after the test. */
export function canaryTree(t: ExecutionContext<unknown>): CanaryTree {
  const path = temporaryFolder(t);
  const inner = join(path, 'dir');
  writeFileSync(join(path, 'secret'), 'canary\n', { mode: 0o640 });
  fse.ensureDirSync(inner);
  writeFileSync(join(inner, 'inner'), 'inner canary\n');
  fse.symlinkSync('secret', join(path, 'link'));
  const before = snapshotTree(path);
  return {
    path,
    assertUntouched: () => t.deepEqual(snapshotDifferences(before, snapshotTree(path)), []),
  };
}
