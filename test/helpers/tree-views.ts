/**
 * What the usual programs say about a tree, as lines that can be compared with those about a copy of
 * it on another file system: what only belongs to the file system (sizes of folders, inode numbers) is left out.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirements } from './requirements.ts';

export const VIEW_NEEDS: Requirements = {
  commands: ['find', 'stat', 'tar', 'getfattr', 'getfacl', 'lsattr', 'diff', 'cp', 'sha256sum'],
};

export interface TreeViewOptions {
  /** Nodes whose tar record is left out: it lists attributes in the order of the file system. */
  readonly notInTar?: readonly string[];
}

const NODE = '%P|%d|%y|%Y|%m|%M|%n|%U|%G|%u|%g|%T@|%l|%h|%f';
const FIND = String.raw`find . \( -type d -printf '${NODE}\0' \) -o -printf '${NODE}|%s\0' 2>/dev/null; true`;
const STAT_NODES = String.raw`find . -print0 |
  xargs -0 stat --printf '%n|%N|%f|%a|%A|%F|%h|%u|%g|%U|%G|%t|%T|%y|%Y\0'`;
const STAT_SIZES = String.raw`find . ! -type d -print0 | xargs -0 stat --printf '%n|%s\0'`;
const TAR = `tar c --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
  --xattrs --xattrs-include='*' --acls --numeric-owner --sort=name --warning=no-file-ignored`;
/** Each of the programs writes into a file of its own, as their lines would be mixed. */
const CHECKSUMS = `sums=$(mktemp -d); trap 'rm -r "$sums"' EXIT
  find . -type f -print0 | xargs -0 -P8 -n50 sh -c 'sha256sum -z "$@" >"$0/$$"' "$sums"
  cat "$sums"/*`;

const byLine = (text: string): string[] => text.split('\n');
const byName = (text: string): string[] => text.split('\0');
const blocks = (text: string): string[] => text.split('\n\n');
const sortedBlocks = (text: string): string[] =>
  blocks(text).map((block) => block.split('\n').sort().join('\n'));
/** Flags that ext4 itself sets: extents, indexes, data within the inode. */
const userFlags = (line: string): string =>
  line.replace(/^\S{20,}/, (flags) => flags.replace(/[eIN]/g, '-'));

const VIEWS: Readonly<Record<string, readonly [string, (text: string) => readonly string[]]>> = {
  find: [FIND, byName],
  stat: [STAT_NODES, byName],
  sizes: [STAT_SIZES, byName],
  checksums: [CHECKSUMS, byName],
  getfattr: ['getfattr -R -P -h -d -e hex -m - .', sortedBlocks],
  getfacl: ['getfacl -R -P -n .', blocks],
  // Nodes that have no flags are complaints on standard error, and a status.
  lsattr: ['lsattr -R -a . 2>/dev/null; true', (text) => byLine(text).map(userFlags)],
};

async function output(script: string, cwd: string): Promise<string> {
  const words = ['-o', 'pipefail', '-c', script];
  const { stdout } = await promisify(execFile)('bash', words, {
    cwd,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    encoding: 'latin1',
    maxBuffer: 2 ** 28,
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  return stdout;
}

export type TreeViews = Readonly<Record<string, readonly string[]>>;

/** Lets all programs describe a tree, one after another; sorted lines for each of them. */
export async function viewTree(root: string, options: TreeViewOptions = {}): Promise<TreeViews> {
  const views: Record<string, readonly string[]> = {};
  for (const [name, [script, lines]] of Object.entries(VIEWS)) {
    const text = await output(script, root);
    // Of a folder lsattr also says what is around it.
    views[name] = [...lines(text)].filter((line) => !/^-+ +\.\/?.*\/\.\.$/.test(line)).sort();
  }
  const excluded = (options.notInTar ?? []).map((path) => `--exclude='${path}'`).join(' ');
  views.tar = [await output(`${TAR} ${excluded} . | sha256sum`, root)];
  return views;
}

const MOST_DIFFERENCES = 10;

/** One line for each line that only one of them has, at most some of each program; none if they are equal. */
export function viewDifferences(a: TreeViews, b: TreeViews): readonly string[] {
  return Object.keys(a).flatMap((name) => {
    const [left, right] = [new Set(a[name]), new Set(b[name])];
    const onlyLeft = [...left].filter((line) => !right.has(line)).map((line) => `< ${line}`);
    const onlyRight = [...right].filter((line) => !left.has(line)).map((line) => `> ${line}`);
    const counts =
      a[name].length === b[name].length ? [] : [`${a[name].length} lines, ${b[name].length}`];
    const all = [
      ...counts,
      ...onlyLeft.slice(0, MOST_DIFFERENCES),
      ...onlyRight.slice(0, MOST_DIFFERENCES),
    ];
    return all.map((line) => `${name}: ${line}`);
  });
}

/** What diff finds, but for special files: it cannot compare those of two file systems. */
export async function diffTrees(a: string, b: string): Promise<string> {
  const script = `diff -r --no-dereference '${a}' '${b}' | grep -v -E 'is a (fifo|socket|(block|character) special file) while'; true`;
  return output(script, '/');
}
