/**
 * Random trees on disk: every kind of node, odd names, metadata of every kind the machine takes.
 * Used by test/compat and by property tests of the walk and of extraction. The superuser gets
 * devices, owners, trusted attributes and capabilities besides.
 */
import {
  chmodSync,
  closeSync,
  constants,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { isCasError } from '../../formats/errors.ts';
import { setInodeFlags } from '../../lib/os/inode-flags.node.ts';
import { makeFifo, makeNode, makeSocket } from '../../lib/os/nodes.node.ts';
import { fileTime, setModificationTime } from '../../lib/os/times.node.ts';
import { setXattr } from '../../lib/os/xattr.node.ts';
import { randomAcl } from './acls.ts';
import { randomBlob, randomBytes } from './blobs.ts';
import { randomExcludes } from './excludes.ts';
import { randomName } from './names.ts';
import type { Random } from './random.ts';

export interface TreeOptions {
  /** Nodes besides the root, about. */
  readonly nodeCount: number;
  /** Largest file in bytes. */
  readonly maxFileSize: number;
  /** Ids come from this list. */
  readonly ids: readonly number[];
  /** How often a node has extended attributes, an ACL or inode flags. */
  readonly metadataRate: number;
  /** How often a directory has a `.caexclude` file. */
  readonly excludeRate: number;
  /** Longest name in bytes. */
  readonly maxNameLength: number;
  /** Whether there are times before 1970. */
  readonly ancient: boolean;
  /** Whether inode flags may forbid changes, which makes removal laborious. */
  readonly immutable: boolean;
}

type Kind = 'directory' | 'file' | 'symlink' | 'fifo' | 'socket' | 'device' | 'hardlink';

interface Made {
  readonly path: Buffer;
  readonly kind: Kind;
}

const SMALL_IDS = [0, 0, 1, 2, 5, 33, 1000, 1001, 12345, 60000, 65533, 65534];
const LARGE_IDS = [...SMALL_IDS, 65536, 70000, 100_000, 4_294_967_294];
const KINDS: readonly Kind[] = [
  ...Array<Kind>(10).fill('file'),
  ...Array<Kind>(4).fill('directory'),
  'symlink',
  'symlink',
  'fifo',
  'socket',
  'device',
  'hardlink',
];
const MODES = [0o644, 0o755, 0o600, 0o444, 0o4755, 0o2755, 0o1777, 0o000, 0o7777];
const NO_ACCESS_TIME = 0x80;
const SYNCHRONOUS = 0x8;
const NO_DUMP = 0x40;
const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;
const MAX_DEPTH = 7;

const isRoot = process.getuid?.() === 0;
const SECOND = 1_000_000_000n;

/** A random choice of what the next tree is like. */
export function randomTreeOptions(random: Random): TreeOptions {
  const manySmall = random.chance(0.1);
  return {
    nodeCount: manySmall ? random.integer(200, 500) : random.integer(0, 60),
    maxFileSize: manySmall ? 300 : random.pick([2000, 100_000, 700_000]),
    ids: random.chance(0.5) ? SMALL_IDS : LARGE_IDS,
    metadataRate: random.pick([0, 0.1, 0.5]),
    excludeRate: random.pick([0, 0, 0.2]),
    maxNameLength: random.chance(0.1) ? 255 : 230,
    ancient: random.chance(0.1),
    immutable: random.chance(0.1),
  };
}

/** Makes the tree in the new folder `root`. @returns whether there is a `.caexclude` in it */
export function makeRandomTree(root: string, random: Random, options: TreeOptions): boolean {
  mkdirSync(root);
  const top: Made = { path: Buffer.from(root), kind: 'directory' };
  const made: Made[] = [top];
  const directories: { readonly path: Buffer; readonly depth: number }[] = [{ ...top, depth: 1 }];
  const taken = new Set<string>();
  const files: Buffer[] = [];
  for (let i = 0; i < options.nodeCount; i++) {
    const parent = random.chance(0.5)
      ? directories[directories.length - 1]
      : random.pick(directories);
    const path = join(parent.path, randomName(random, options.maxNameLength));
    if (taken.has(path.toString('latin1'))) continue;
    taken.add(path.toString('latin1'));
    const kind = chooseKind(random, files.length > 0, parent.depth);
    makeNodeOfKind(path, kind, { random, files, maxFileSize: options.maxFileSize });
    if (kind === 'directory') directories.push({ path, depth: parent.depth + 1 });
    if (kind === 'file') files.push(path);
    made.push({ path, kind });
  }
  let excludes = false;
  for (const { path } of directories) {
    if (!random.chance(options.excludeRate)) continue;
    const names = made.map((node) => node.path.subarray(node.path.lastIndexOf(0x2f) + 1));
    writeFileSync(join(path, Buffer.from('.caexclude')), randomExcludes(random, names));
    excludes = true;
  }
  finish(made, random, options);
  return excludes;
}

function join(folder: Buffer, name: Uint8Array): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), name]);
}

function chooseKind(random: Random, hasFile: boolean, depth: number): Kind {
  const kind = random.pick(KINDS);
  if (kind === 'directory' && depth >= MAX_DEPTH) return 'file';
  if (kind === 'hardlink' && !hasFile) return 'file';
  if (kind === 'device' && !isRoot) return 'fifo';
  return kind;
}

interface Making {
  readonly random: Random;
  readonly files: readonly Buffer[];
  readonly maxFileSize: number;
}

function makeNodeOfKind(path: Buffer, kind: Kind, { random, files, maxFileSize }: Making): void {
  const makers: Readonly<Record<Kind, () => void>> = {
    directory: () => mkdirSync(path),
    file: () => {
      if (random.chance(0.1)) makeSparseFile(path, random, maxFileSize);
      else writeFileSync(path, randomBlob(random, maxFileSize));
    },
    symlink: () => symlinkSync(randomTarget(random), path),
    fifo: () => makeFifo(path, 0o644),
    socket: () => makeSocket(path, 0o644),
    device: () => {
      const type = random.chance(0.5) ? constants.S_IFCHR : constants.S_IFBLK;
      makeNode(path, type | 0o600, random.integer(0, 4095), random.integer(0, 1048575));
    },
    hardlink: () => linkSync(random.pick(files), path),
  };
  makers[kind]();
}

function makeSparseFile(path: Buffer, random: Random, maxSize: number): void {
  const fd = openSync(path, 'w');
  const size = random.integer(0, maxSize);
  ftruncateSync(fd, size);
  for (let i = random.integer(0, 3); i > 0; i--) {
    const at = random.integer(0, size);
    const piece = randomBytes(random, Math.min(size - at, random.integer(1, 9000)));
    writeSync(fd, piece, 0, piece.length, at);
  }
  closeSync(fd);
}

function randomTarget(random: Random): Buffer {
  if (random.chance(0.1)) return Buffer.alloc(random.integer(60, 2000), 'x/');
  const names = Array.from({ length: random.integer(1, 3) }, () => randomName(random, 40));
  return Buffer.from(names.map((name) => name.toString('latin1')).join('/'), 'latin1');
}

/** Metadata, children before their folders, since a change inside touches the folder's time. */
function finish(made: readonly Made[], random: Random, options: TreeOptions): void {
  for (const node of made.toReversed()) {
    const { path, kind } = node;
    const isLink = kind === 'symlink';
    // Both names of a file: the second would take back what the first was given.
    if (kind === 'hardlink') continue;
    if (isRoot && random.chance(0.5)) {
      lchownSync(path, random.pick(options.ids), random.pick(options.ids));
    }
    if (!isLink && random.chance(0.7)) chmodSync(path, randomMode(random));
    if (!isLink && random.chance(options.metadataRate)) addXattrs(node, random);
    setModificationTime(path, fileTime(randomTime(random, options.ancient)));
    const canHaveFlags = kind === 'file' || kind === 'directory';
    if (canHaveFlags && random.chance(options.metadataRate / 3)) addFlags(node, random, options);
  }
}

function randomMode(random: Random): number {
  return random.chance(0.5) ? random.pick(MODES) : random.integer(0, 0o7777);
}

function randomTime(random: Random, ancient: boolean): bigint {
  const seconds = random.pick([
    () => random.integer(1_000_000_000, 1_700_000_000),
    () => random.integer(0, 3),
    () => (ancient ? -random.integer(1, 2_000_000_000) : 0),
    () => random.integer(2_200_000_000, 10_000_000_000),
  ])();
  const fraction = random.pick([0, 0, 1, 999_999_999, 123_000_000, 123_456_000, 123_456_789]);
  return BigInt(seconds) * SECOND + BigInt(fraction);
}

/** File systems differ in what they take; what is refused is simply not there. */
function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isCasError(error)) throw error;
  }
}

function addXattrs({ path, kind }: Made, random: Random): void {
  const takesUserXattrs = kind === 'file' || kind === 'directory';
  const names = takesUserXattrs ? ['user.a', 'user.b.c', 'user.longer-name', 'user.\u00fc#\\'] : [];
  if (isRoot) names.push('trusted.t', 'trusted.t.u');
  for (const name of random.some(names, 0.4)) {
    attempt(() => setXattr(path, name, random.bytes(random.pick([0, 1, 20, 300]))));
  }
  if (isRoot && kind === 'file' && random.chance(0.2)) {
    attempt(() => setXattr(path, 'security.capability', randomCapability(random)));
  }
  if (random.chance(0.5)) {
    attempt(() => setXattr(path, 'system.posix_acl_access', randomAcl(random)));
  }
  if (kind === 'directory' && random.chance(0.5)) {
    attempt(() => setXattr(path, 'system.posix_acl_default', randomAcl(random)));
  }
}

/** struct vfs_cap_data of version 2. */
function randomCapability(random: Random): Buffer {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x02000000 | random.integer(0, 1), 0);
  value.writeUInt32LE(random.integer(0, 0xffff_ffff), 4);
  value.writeUInt32LE(random.integer(0, 0xffff_ffff), 8);
  return value;
}

function addFlags({ path }: Made, random: Random, options: TreeOptions): void {
  const harmless = isRoot ? [NO_ACCESS_TIME, SYNCHRONOUS, NO_DUMP] : [NO_ACCESS_TIME, NO_DUMP];
  const all = isRoot && options.immutable ? [...harmless, IMMUTABLE, APPEND_ONLY] : harmless;
  const flags = random.some(all, 0.4).reduce((sum, flag) => sum | flag, 0);
  const fd = openSync(path, constants.O_RDONLY);
  attempt(() => setInodeFlags(fd, flags, flags));
  closeSync(fd);
}
