/**
 * Data sets from real files of this machine: a tree, and an ext4 image of such a tree; and many
 * tiny files. Recipes of data-sets.ts.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { findInPath } from './contestants.ts';
import { BLOCK_BYTES, noiseSource, piecesOf, scaled, writeBlob } from './data-blobs.ts';
import { chooseMeter, measure } from './measure.ts';
import type { BuildContext, Built } from './recipe.ts';

const TREE_BYTES = 950_000_000;
const TREE_ENTRIES = 70_000;
const IMAGE_BYTES = 1024 ** 3;
const LEAST_IMAGE_BYTES = 8 * 1024 ** 2;
const LEAST_BYTES_WITH_JOURNAL = 256 * 1024 ** 2;
/** What files may take of an image; the rest is for the journal and the tables. */
const IMAGE_FILL = 0.85;
const INODE_BYTES = 256;
const TINY_FILES = 100_000;
const TINY_BYTES = 1024;
const TINY_PER_FOLDER = 1000;
const ENTRIES_PER_BREATH = 500;
const ZERO_RUN = 1024 ** 2;
const BYTES_BETWEEN_ZERO_RUNS = 16 * 1024 ** 2;

/** Where real files are taken from, in this order, until there are enough. */
function sources(): readonly string[] {
  const libraries = existsSync('/usr/lib') ? readdirSync('/usr/lib').sort() : [];
  return [
    '/usr/share',
    '/usr/bin',
    ...libraries.filter((name) => name.startsWith('python3')).map((name) => `/usr/lib/${name}`),
    '/usr/lib/gcc',
    '/usr/include',
    ...libraries.filter((name) => name.endsWith('-linux-gnu')).map((name) => `/usr/lib/${name}`),
    '/usr/lib',
    '/usr/local',
    '/opt',
  ].filter((path) => existsSync(path));
}

interface Entry {
  readonly path: string;
  readonly stat: Stats;
}

/** Files, links and folders below the sources, each once, in a fixed order. */
function* realEntries(): Generator<Entry> {
  const seen = new Set<string>();
  for (const source of sources()) {
    yield* entriesBelow(source, seen);
    seen.add(source);
  }
}

function* entriesBelow(path: string, seen: ReadonlySet<string>): Generator<Entry> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || seen.has(path)) return;
  if (stat.isFile() || stat.isSymbolicLink() || stat.isDirectory()) yield { path, stat };
  if (!stat.isDirectory()) return;
  for (const name of readableNames(path)) yield* entriesBelow(join(path, name), seen);
}

function readableNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

interface Budget {
  readonly bytes: number;
  readonly entries: number;
  /** What an entry takes of the bytes. */
  readonly cost: (stat: Stats) => number;
  /** What a folder takes of them. */
  readonly folderCost: number;
}

/**
 * Copies real files with modes, owners and times. At a scale below 1 entries are left out at even
 * distances, so that a small tree is like a large one; folders are made where they are needed.
 */
async function copyRealFiles(
  target: string,
  budget: Budget,
  { scale, signal }: BuildContext,
): Promise<Built> {
  let [bytes, cost, entries, count] = [0, 0, 0, 0];
  mkdirSync(target);
  for (const { path, stat } of realEntries()) {
    if (entries >= budget.entries || cost >= budget.bytes) break;
    if (++count % ENTRIES_PER_BREATH === 0) await breathe();
    signal.throwIfAborted();
    const isWanted = Math.floor(count * scale) > Math.floor((count - 1) * scale);
    if (!isWanted || cost + budget.cost(stat) > budget.bytes) continue;
    const copy = join(target, path);
    const folders = makeFolders(stat.isDirectory() ? copy : dirname(copy));
    entries += folders;
    cost += folders * budget.folderCost;
    if (stat.isDirectory() || !copyEntry(path, stat, copy)) continue;
    entries++;
    cost += budget.cost(stat);
    if (stat.isFile()) bytes += stat.size;
  }
  if (entries === 0) throw new Error(`found no files in ${sources().join(', ')}`);
  return { bytes, entries };
}

/** @returns how many were made */
function makeFolders(path: string): number {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return 0;
  return path.split('/').length - first.split('/').length + 1;
}

/** @returns false for what cannot be read */
function copyEntry(path: string, stat: Stats, copy: string): boolean {
  try {
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(path), copy);
    else copyFileSync(path, copy);
  } catch {
    return false;
  }
  if (process.getuid?.() === 0) lchownSync(copy, stat.uid, stat.gid);
  if (stat.isFile()) chmodSync(copy, stat.mode & 0o777);
  lutimesSync(copy, stat.atime, stat.mtime);
  return true;
}

export function makeTree(context: BuildContext): Promise<Built> {
  const { path, scale } = context;
  return copyRealFiles(
    path,
    {
      bytes: TREE_BYTES * scale,
      entries: TREE_ENTRIES * scale,
      cost: (stat) => (stat.isFile() ? stat.size : 0),
      folderCost: 0,
    },
    context,
  );
}

/** An ext4 image where mkfs.ext4 is there, else the contents of real files one after the other. */
export async function makeImage(context: BuildContext): Promise<Built> {
  const { path, scale, scratch } = context;
  const size = Math.max(LEAST_IMAGE_BYTES, scaled(IMAGE_BYTES, scale));
  rmSync(scratch, { recursive: true, force: true });
  const { entries } = await copyRealFiles(
    scratch,
    {
      bytes: size * IMAGE_FILL,
      entries: Number.POSITIVE_INFINITY,
      cost: ({ size: bytes }) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES + INODE_BYTES,
      folderCost: BLOCK_BYTES + INODE_BYTES,
    },
    { ...context, scale: Math.min(1, size / IMAGE_BYTES) },
  );
  try {
    const mkfs = findInPath('mkfs.ext4');
    if (mkfs === undefined) return await concatenate(scratch, size, context);
    return await makeFileSystem(mkfs, { folder: scratch, entries, size }, context);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    rmSync(`${path}.sparse`, { force: true });
  }
}

async function makeFileSystem(
  mkfs: string,
  what: { readonly folder: string; readonly entries: number; readonly size: number },
  { path, signal }: BuildContext,
): Promise<Built> {
  const sparse = `${path}.sparse`;
  writeFileSync(sparse, '');
  truncateSync(sparse, what.size);
  // A small one has no room for a journal.
  const features = what.size < LEAST_BYTES_WITH_JOURNAL ? ['-O', '^has_journal,^resize_inode'] : [];
  await measure(
    {
      words: [
        ...[mkfs, '-q', '-F', '-b', `${BLOCK_BYTES}`, '-m', '0', '-I', `${INODE_BYTES}`],
        ...features,
        ...[
          '-N',
          `${what.entries + 64}`,
          '-U',
          '6a1f3c52-58e0-4c7e-9d3b-0f6c2b7a9e11',
          '-d',
          what.folder,
        ],
        sparse,
      ],
    },
    { meter: chooseMeter(), scratch: `${path}.usage`, signal },
  );
  // Its free blocks are holes; a device has none, and holes have rows of their own.
  return writeBlob(path, async (file) => {
    for await (const piece of piecesOf(sparse, signal)) writeSync(file, piece);
  });
}

/** Whole blocks, as a file system lays them out, with a run of zeroes now and then. */
function concatenate(folder: string, size: number, { path, signal }: BuildContext): Promise<Built> {
  return writeBlob(path, async (file) => {
    let [written, sinceZeroes] = [0, 0];
    const append = (piece: Buffer): void => {
      const length = Math.min(piece.length, size - written);
      written += writeSync(file, piece, 0, length);
      sinceZeroes += length;
    };
    for (const { path: source, stat } of entriesBelow(folder, new Set())) {
      if (written >= size) break;
      if (!stat.isFile()) continue;
      for await (const piece of piecesOf(source, signal)) append(piece);
      append(Buffer.alloc(-stat.size & (BLOCK_BYTES - 1)));
      if (sinceZeroes < BYTES_BETWEEN_ZERO_RUNS) continue;
      append(Buffer.alloc(ZERO_RUN));
      sinceZeroes = 0;
    }
    while (written < size) append(Buffer.alloc(Math.min(ZERO_RUN, size - written)));
  });
}

/** A folder with another data set in it, which takes no room of its own. */
export async function makeFolderOf({ path, from }: BuildContext): Promise<Built> {
  mkdirSync(path);
  linkSync(from, join(path, basename(from)));
  return { bytes: statSync(from).size, entries: 2 };
}

export async function makeTinyFiles({ path, scale, signal }: BuildContext): Promise<Built> {
  const count = Math.max(10, Math.round(TINY_FILES * scale));
  const noise = noiseSource(1);
  const staged = `${path}.new`;
  for (let i = 0; i < count; i++) {
    const folder = join(staged, `d${Math.floor(i / TINY_PER_FOLDER)}`);
    if (i % TINY_PER_FOLDER === 0) {
      signal.throwIfAborted();
      mkdirSync(folder, { recursive: true });
      await breathe();
    }
    const text = noise((TINY_BYTES * 3) / 4).toString('base64');
    writeFileSync(join(folder, `f${i % TINY_PER_FOLDER}`), text);
  }
  renameSync(staged, path);
  return { bytes: count * TINY_BYTES, entries: count + Math.ceil(count / TINY_PER_FOLDER) + 1 };
}
