/**
 * An archive in a store with small chunks, some of which are made unreadable, and what a mount of it must
 * say then: page by page, and name by name.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { chunkKey } from '../../formats/chunk-path.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import { type Place, walked } from '../helpers/archive-places.ts';
import { noise } from '../helpers/golden.ts';
import { readWith } from '../helpers/mounted.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const READER = join(import.meta.dirname, '../helpers/mounted-reader.py');
const PAGE = 4096;
const ENTRIES = 500;
const FILE_NAME_HEAD = 16;

interface Range {
  readonly start: number;
  readonly end: number;
}
export interface Chunk extends Range {
  /** Of its file. */
  readonly path: string;
}
/** Where a node of the archive is. */
interface Node {
  readonly path: string;
  readonly parent: string;
  readonly isFolder: boolean;
  /** Its name and its metadata. */
  readonly head: Range;
  readonly content: Range;
  /** At the end of a folder. */
  readonly table: Range;
}

function nodeOf({ path, node, start, end }: Place, places: readonly Place[]): Node {
  const text = Buffer.from(path).toString();
  const parts = text.split('/');
  const isFolder = node.type === 'directory';
  const nameLength = text === '' ? 0 : FILE_NAME_HEAD + (parts.at(-1)?.length ?? 0) + 1;
  const below = places.filter((other) => isFolder && other.start > start && other.end < end);
  const tableStart = below.reduce((latest, other) => Math.max(latest, other.end), start);
  const firstBelow = below[0]?.start ?? tableStart;
  const headEnd = isFolder ? firstBelow : end - node.size;
  return {
    path: text === '' ? '.' : text,
    parent: parts.slice(0, -1).join('/') || '.',
    isFolder,
    head: { start: start - nameLength, end: headEnd },
    content: { start: headEnd, end },
    table: { start: isFolder ? tableStart : end, end },
  };
}

/** `tree`, and what is made of it: `x.caidx`, `x.catar` and `default.castr`. */
export interface MountedArchive {
  readonly folder: string;
  readonly chunks: readonly Chunk[];
  readonly nodes: readonly Node[];
}

function makeTree(tree: string): void {
  mkdirSync(join(tree, 'folder'), { recursive: true });
  writeFileSync(join(tree, 'big'), noise(200_000));
  writeFileSync(join(tree, 'late'), noise(30_000, 5));
  for (let i = 0; i < ENTRIES; i++) {
    const path = join(tree, 'folder', `${i}${'x'.repeat(180)}`);
    if (i % 5 === 0) writeFileSync(path, noise(i % 400, i + 9));
    else if (i % 5 === 1) mkdirSync(path);
    else symlinkSync(`${i}`.repeat(50), path);
  }
}

/** @param folder of the caller, empty */
export async function makeMountedArchive(folder: string): Promise<MountedArchive> {
  makeTree(join(folder, 'tree'));
  const make = ['make', '--with=fuse', '--chunk-size=8192'];
  for (const output of ['x.caidx', 'x.catar']) {
    await succeed(runCasync([...make, output, 'tree'], { cwd: folder }));
  }
  const index = decodeIndex(new Uint8Array(readFileSync(join(folder, 'x.caidx'))));
  const chunks = Array.from({ length: index.count }, (_, i) => ({
    path: join('default.castr', chunkKey(index.id(i), '.cacnk')),
    start: index.start(i),
    end: index.end(i),
  }));
  const places = walked(new Uint8Array(readFileSync(join(folder, 'x.catar'))));
  return { folder, chunks, nodes: places.map((place) => nodeOf(place, places)) };
}

/** What the reader has found of one path; nothing if all is right. */
interface Finding {
  readonly open?: string;
  readonly direct?: readonly (readonly [number, string])[];
  readonly cached?: readonly (readonly [number, string])[];
  readonly whole?: string;
  readonly wrong?: unknown;
  readonly listing?: string;
}

const overlap = (a: Range, b: Range): boolean => a.start < b.end && b.start < a.end;

/** Why what was found is not what must be found while some chunks cannot be read. */
function broken(
  node: Node,
  found: Finding,
  nodes: readonly Node[],
  damaged: readonly Range[],
): string | undefined {
  const isHit = (range: Range): boolean => damaged.some((chunk) => overlap(chunk, range));
  const parent = nodes.find(({ path }) => path === node.parent);
  const isHidden = parent !== undefined && (isHit(parent.head) || isHit(parent.table));
  if (node.isFolder) {
    const below = nodes.filter(({ path, parent: above }) => above === node.path && path !== '.');
    const fails = [node.head, node.table, ...below.map(({ head }) => head)].some(isHit);
    if (found.listing === '' && !fails) return undefined;
    if (found.listing === 'EIO' && (fails || isHidden)) {
      return found.wrong === undefined ? undefined : 'wrong names';
    }
    return `listing ${JSON.stringify(found)}`;
  }
  if (found.wrong !== undefined) return 'wrong bytes';
  if (found.open !== undefined) {
    if (found.open !== 'EIO') return `open: ${found.open}`;
    return isHit(node.head) || isHidden ? undefined : 'cannot be opened';
  }
  if (isHit(node.head)) return 'can be opened';
  const { start, end } = node.content;
  const failing: number[] = [];
  for (let offset = 0; start + offset < end; offset += PAGE) {
    const page = { start: start + offset, end: Math.min(end, start + offset + PAGE) };
    if (isHit(page)) failing.push(offset);
  }
  for (const pages of [found.direct ?? [], found.cached ?? []]) {
    if (pages.map(([offset]) => offset).join() !== failing.join()) {
      return `pages ${JSON.stringify(pages)}, not ${failing.join()}`;
    }
    if (pages.some(([, name]) => name !== 'EIO')) return `pages ${JSON.stringify(pages)}`;
  }
  return (found.whole ?? '') === (failing.length > 0 ? 'EIO' : '') ? undefined : 'as a whole';
}

/**
 * Reads all files and listings of a mount.
 * @param damaged chunks that cannot be read
 * @returns one line for each path of which something else was read or failed than must
 */
export async function problemsOf(
  { folder, nodes }: MountedArchive,
  mountPoint: string,
  damaged: readonly Chunk[],
): Promise<readonly string[]> {
  const words = [READER, 'pages', mountPoint, join(folder, 'tree')];
  const found: Readonly<Record<string, Finding>> = JSON.parse(await readWith('python3', words));
  return nodes.flatMap((node) => {
    const problem = broken(node, found[node.path], nodes, damaged);
    return problem === undefined ? [] : [`${node.path}: ${problem}`];
  });
}

/** Chunks without which there is no mount at all. */
export function isNeededToMount({ nodes: [root] }: MountedArchive, chunk: Chunk): boolean {
  return overlap(root.head, chunk) || overlap(root.table, chunk);
}

export type Harm = 'missing' | 'flipped' | 'cut off' | 'empty';
export const HARMS: readonly Harm[] = ['missing', 'flipped', 'cut off', 'empty'];

/** The file of a chunk is kept beside it. */
export function harmChunk(archive: MountedArchive, chunk: Chunk, harm: Harm): void {
  restoreChunk(archive, chunk);
  const file = join(archive.folder, chunk.path);
  renameSync(file, `${file}.kept`);
  const bytes = readFileSync(`${file}.kept`);
  bytes[bytes.length >> 1] ^= 4;
  if (harm === 'flipped') writeFileSync(file, bytes);
  if (harm === 'cut off') writeFileSync(file, bytes.subarray(0, bytes.length >> 1));
  if (harm === 'empty') writeFileSync(file, '');
}

function restoreChunk({ folder }: MountedArchive, { path }: Chunk): void {
  const file = join(folder, path);
  if (!existsSync(`${file}.kept`)) return;
  rmSync(file, { force: true });
  renameSync(`${file}.kept`, file);
}

export function restoreChunks(archive: MountedArchive, chunks: readonly Chunk[]): void {
  for (const chunk of chunks) restoreChunk(archive, chunk);
}

/** An option with which places that fail are not tried for minutes. */
export function impatientConfig(t: ExecutionContext<unknown>): string {
  const path = join(temporaryFolder(t), 'config.toml');
  writeFileSync(path, '[[location]]\nmatch = "**"\nattempts = 1\ntimeout = 0.3\n');
  return `--config=${path}`;
}
