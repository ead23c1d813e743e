/**
 * Random edits of a tree on disk: what people and programs do between two archives of it, mean things
 * among them. Each leaves another change time than before, as edits do that are not within the same
 * few milliseconds. For tests of the encoder cache.
 */
import {
  appendFileSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileTime, setModificationTime } from '../../lib/os/times.node.ts';
import type { Random } from './random.ts';

type Edit = (root: string, random: Random) => void;

/** All regular files below `root`. */
export function filesBelow(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function foldersBelow(root: string): readonly string[] {
  const inner = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  return [root, ...inner.sort()];
}

/** Does `change` to a file until its change time is another one. */
function untilDated(path: string, change: () => void): void {
  const before = lstatSync(path, { bigint: true }).ctimeNs;
  change();
  while (lstatSync(path, { bigint: true }).ctimeNs === before) {
    restoreTime(path, lstatSync(path, { bigint: true }).mtimeNs);
  }
}

/** To the nanosecond. */
function restoreTime(path: string, mtimeNs: bigint): void {
  setModificationTime(Buffer.from(path), fileTime(mtimeNs));
}

function onFile(change: (path: string, random: Random) => void): Edit {
  return (root, random) => {
    const files = filesBelow(root);
    if (files.length === 0) return;
    const path = random.pick(files);
    untilDated(path, () => change(path, random));
  };
}

const touch = onFile((path) => utimesSync(path, new Date(), new Date()));

const turnBack = onFile((path, random) => {
  const time = new Date(random.integer(1, 1_700_000_000_000));
  utimesSync(path, time, time);
});

const append = onFile((path, random) => {
  appendFileSync(path, random.bytes(random.integer(1, 3000)));
});

const truncate = onFile((path, random) => {
  truncateSync(path, random.integer(0, statSync(path).size));
});

/** Other bytes of the same length, and the old time: only the change time tells. */
const rewriteInSecret = onFile((path, random) => {
  const { mtimeNs, size } = statSync(path, { bigint: true });
  if (size === 0n) return;
  const fd = openSync(path, 'r+');
  const at = random.integer(0, Number(size) - 1);
  const old = readFileSync(path)[at];
  writeSync(fd, Buffer.of(old ^ random.integer(1, 255)), 0, 1, at);
  closeSync(fd);
  restoreTime(path, mtimeNs);
});

/** Another file takes the name; its inode may be the old one. */
const replace = onFile((path, random) => {
  const { size } = statSync(path);
  if (random.chance(0.5)) rmSync(path);
  writeFileSync(`${path}.new`, random.bytes(size));
  renameSync(`${path}.new`, path);
});

const swap: Edit = (root, random) => {
  const files = filesBelow(root);
  if (files.length < 2) return;
  const [a, b] = [random.pick(files), random.pick(files)];
  if (a === b) return;
  renameSync(a, `${a}.swap`);
  renameSync(b, a);
  renameSync(`${a}.swap`, b);
};

const rename: Edit = (root, random) => {
  const files = filesBelow(root);
  if (files.length === 0) return;
  renameSync(random.pick(files), join(random.pick(foldersBelow(root)), nameFrom(random)));
};

const renameFolder: Edit = (root, random) => {
  const [, ...folders] = foldersBelow(root);
  if (folders.length === 0) return;
  renameSync(random.pick(folders), join(root, nameFrom(random)));
};

const addFolder: Edit = (root, random) => {
  const name = random.pick(['!', 'm', '~']) + nameFrom(random);
  const folder = join(random.pick(foldersBelow(root)), name);
  mkdirSync(folder);
  for (let i = random.integer(0, 3); i > 0; i--) {
    writeFileSync(join(folder, nameFrom(random)), random.bytes(random.integer(0, 5000)));
  }
};

const copyFile: Edit = (root, random) => {
  const files = filesBelow(root);
  if (files.length === 0) return;
  const copy = join(random.pick(foldersBelow(root)), nameFrom(random));
  writeFileSync(copy, readFileSync(random.pick(files)));
};

const remove: Edit = (root, random) => {
  const files = filesBelow(root);
  if (files.length > 0) rmSync(random.pick(files));
};

const removeFolder: Edit = (root, random) => {
  const [, ...folders] = foldersBelow(root);
  if (folders.length > 3) rmSync(random.pick(folders), { recursive: true });
};

const nothing: Edit = () => {};

const EDITS: readonly Edit[] = [
  touch,
  turnBack,
  append,
  append,
  truncate,
  rewriteInSecret,
  rewriteInSecret,
  replace,
  swap,
  rename,
  renameFolder,
  addFolder,
  copyFile,
  remove,
  removeFolder,
  nothing,
];

function nameFrom(random: Random): string {
  return `${random.integer(0, 1_000_000_000).toString(36)}`;
}

/** One to four random edits. */
export function editTree(root: string, random: Random): void {
  for (let i = random.integer(1, 4); i > 0; i--) random.pick(EDITS)(root, random);
}

/** A small tree of files that have something in common. */
export function makeEditableTree(root: string, random: Random): void {
  mkdirSync(root);
  const folders = [root];
  for (let i = 0; i < 6; i++) {
    const folder = join(random.pick(folders), `d${i}`);
    mkdirSync(folder);
    folders.push(folder);
  }
  const shared = random.bytes(4000);
  for (let i = 0; i < 30; i++) {
    const size = random.pick([0, 1, 100, 3000, 20_000]);
    const content = random.chance(0.2) ? shared : random.bytes(random.integer(0, size));
    writeFileSync(join(random.pick(folders), `f${i}`), content);
  }
}
