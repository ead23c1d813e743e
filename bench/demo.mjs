/**
 * `npm run demo`: the main job on real data, as an ordinary user and without any other program. Two
 * versions of a folder go into one store, the second comes out again and is compared with what went
 * in; a table says what that cost.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));
const CASYNC = join(PROJECT, 'cli', 'casync.cjs');
const CANDIDATES = ['/usr/share/doc', join(PROJECT, 'node_modules'), PROJECT];
const LEAST_BYTES = 1_000_000;
const MOST_BYTES = 150_000_000;
/** What an ordinary user may record and restore. */
const AS_USER = '--without=privileged';

function casync(...words) {
  const startedMs = performance.now();
  const output = execFileSync(process.execPath, [CASYNC, ...words], {
    encoding: 'utf8',
    maxBuffer: MOST_BYTES,
  });
  return { output: output.trim(), seconds: (performance.now() - startedMs) / 1000 };
}

/** Everything below a folder as [relative path, lstat]. */
function* walk(folder, prefix = '') {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    yield [prefix + name, stat];
    if (stat.isDirectory()) yield* walk(path, `${prefix}${name}/`);
  }
}

function measure(folder) {
  let [bytes, count] = [0, 0];
  for (const [, stat] of walk(folder)) {
    count++;
    if (stat.isFile()) bytes += stat.size;
  }
  return { bytes, count };
}

/** Copies what can be read, up to a limit, so that the demonstration may change it. */
function copySample(source, target) {
  let bytes = 0;
  cpSync(source, target, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
    filter: (path) => {
      const stat = lstatSync(path);
      if (!stat.isFile() && !stat.isDirectory() && !stat.isSymbolicLink()) return false;
      if (stat.isFile()) bytes += stat.size;
      return bytes < MOST_BYTES && isReadable(stat);
    },
  });
}

function isReadable(stat) {
  if (stat.isSymbolicLink()) return true;
  const mine = process.getuid() === 0 || stat.uid === process.getuid();
  const needed = stat.isDirectory() ? 0o5 : 0o4;
  return mine || (stat.mode & needed) === needed;
}

/** A second version: some files get a line more, one goes, one comes. */
function change(folder) {
  const files = [...walk(folder)].filter(([, stat]) => stat.isFile() && stat.nlink === 1);
  const step = Math.max(1, Math.floor(files.length / 20));
  let changedCount = 0;
  for (let i = 0; i < files.length; i += step) {
    const path = join(folder, files[i][0]);
    chmodSync(path, 0o644);
    appendFileSync(path, 'one more line\n');
    changedCount++;
  }
  rmSync(join(folder, files[files.length - 1][0]));
  writeFileSync(join(folder, 'a-new-file'), 'new\n'.repeat(1000));
  return changedCount;
}

/** Paths that are not the same in both folders: type, mode, time, size, content. */
function compare(a, b) {
  const differences = [];
  const [left, right] = [new Map(walk(a)), new Map(walk(b))];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const [one, two] = [left.get(path), right.get(path)];
    if (one === undefined || two === undefined) differences.push(path);
    else if (!sameNode(join(a, path), one, join(b, path), two)) differences.push(path);
  }
  return differences;
}

function sameNode(pathA, a, pathB, b) {
  if (a.mode !== b.mode || a.mtimeMs !== b.mtimeMs) return false;
  if (a.isSymbolicLink()) return readlinkSync(pathA) === readlinkSync(pathB);
  return !a.isFile() || (a.size === b.size && readFileSync(pathA).equals(readFileSync(pathB)));
}

function chunkCount(index) {
  return (statSync(index).size - 104) / 40;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function printTable(rows) {
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, value] of rows) console.log(`  ${label.padEnd(width)}  ${value}`);
}

function chooseSource() {
  const found = CANDIDATES.find((path) => existsSync(path) && measure(path).bytes > LEAST_BYTES);
  if (found === undefined) throw new Error(`found no data in ${CANDIDATES.join(', ')}`);
  return found;
}

function demonstrate(folder) {
  const source = chooseSource();
  const [tree, extracted] = [join(folder, 'tree'), join(folder, 'extracted')];
  const [first, second] = [join(folder, 'first.caidx'), join(folder, 'second.caidx')];
  const storePath = join(folder, 'store.castr');
  const store = `--store=${storePath}`;
  console.log(`Two versions of ${source} in one store`);
  copySample(source, tree);

  const input = measure(tree);
  const make1 = casync(AS_USER, store, 'make', first, tree);
  const store1 = measure(storePath);
  const chunks1 = chunkCount(first);
  const stored1 = store1.count - readdirSync(storePath).length;

  const changedCount = change(tree);
  const make2 = casync(AS_USER, store, 'make', second, tree);
  const store2 = measure(storePath);
  const chunks2 = chunkCount(second);
  const added = store2.count - readdirSync(storePath).length - stored1;

  const extract = casync(AS_USER, store, 'extract', second, extracted);
  const differences = compare(tree, extracted);
  const listed = casync(AS_USER, store, 'mtree', second);
  const sameListing = listed.output === casync(AS_USER, 'mtree', extracted).output;
  const sameDigest = make2.output === casync(AS_USER, 'digest', extracted).output;

  printTable([
    ['input', `${input.count} files and folders, ${megabytes(input.bytes)}`],
    [
      'first version',
      `${chunks1} chunks, ${stored1} different ones, ${make1.seconds.toFixed(1)} s`,
    ],
    [
      'store after it',
      `${megabytes(store1.bytes)} (${percent(store1.bytes, input.bytes)} of the input)`,
    ],
    ['changed for the second', `${changedCount} files, one removed, one new`],
    ['second version', `${chunks2} chunks, ${make2.seconds.toFixed(1)} s`],
    ['of them new', `${added} (${percent(chunks2 - added, chunks2)} reused)`],
    [
      'store after it',
      `${megabytes(store2.bytes)}, ${megabytes(store2.bytes - store1.bytes)} more`,
    ],
    ['extracting the second', `${extract.seconds.toFixed(1)} s`],
    ['compared file by file', differences.length === 0 ? 'equal' : `${differences.length} differ`],
    ['compared by mtree', sameListing ? 'equal' : 'DIFFERENT'],
    ['compared by digest', sameDigest ? 'equal' : 'DIFFERENT'],
  ]);
  for (const path of differences.slice(0, 10)) console.log(`  differs: ${path}`);
  return differences.length === 0 && sameListing && sameDigest;
}

function percent(part, whole) {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

const folder = mkdtempSync(join(tmpdir(), 'casync-demo-'));
try {
  process.exitCode = demonstrate(folder) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
