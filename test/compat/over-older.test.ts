/** Extraction over another version of a tree: what both programs leave is the same. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';
import { type Random, randomFrom } from '../property/random.ts';
import { makeRandomTree } from '../property/trees.ts';

const CASE_COUNT = 12;
const CHANGE_COUNT = 25;

const TREE = {
  nodeCount: 60,
  maxFileSize: 400_000,
  ids: [0, 1, 5, 1000],
  metadataRate: 0.4,
  excludeRate: 0,
  // What the reference can extract.
  maxNameLength: 200,
  ancient: false,
  immutable: false,
};

/** Everything below a folder, whatever its name. */
function entriesBelow(folder: Buffer): readonly Buffer[] {
  return readdirSync(folder, { encoding: 'buffer' }).flatMap((name) => {
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    return lstatSync(path).isDirectory() ? [path, ...entriesBelow(path)] : [path];
  });
}

/** One random change of one entry: its content, an attribute, or what it is. */
function change(folder: string, random: Random): void {
  const entries = entriesBelow(Buffer.from(folder));
  if (entries.length === 0) return;
  const path = random.pick(entries);
  const stat = lstatSync(path);
  const changes: (() => void)[] = [
    () => lchownSync(path, random.pick(TREE.ids), random.pick(TREE.ids)),
    () => lutimesSync(path, 1, random.integer(0, 2_000_000_000)),
    () => rmSync(path, { recursive: true }),
  ];
  if (!stat.isSymbolicLink()) changes.push(() => chmodSync(path, random.integer(0, 0o7777)));
  if (stat.isFile()) {
    changes.push(
      () => appendFileSync(path, 'more'),
      () => writeFileSync(path, ''),
      () => overwrite(path, random.integer(0, stat.size)),
      () => overwrite(path, random.integer(0, stat.size)),
    );
  }
  const replacements = [
    () => mkdirSync(path),
    () => symlinkSync('x', path),
    () => writeFileSync(path, 'new'),
  ];
  changes.push(() => {
    rmSync(path, { recursive: true });
    random.pick(replacements)();
  });
  random.pick(changes)();
}

/** Changes one byte, and neither length nor time. */
function overwrite(path: Buffer, offset: number): void {
  const { mtime } = lstatSync(path);
  const fd = openSync(path, 'r+');
  writeSync(fd, '!', offset);
  closeSync(fd);
  lutimesSync(path, 1, mtime);
}

/** The first version of a tree, and one that has developed from it or has nothing to do with it. */
function makeVersions(folder: string, random: Random): readonly [older: string, newer: string] {
  const [older, newer] = [join(folder, 'older'), join(folder, 'newer')];
  makeRandomTree(older, random.fork(1), TREE);
  if (random.chance(0.3)) makeRandomTree(newer, random.fork(2), TREE);
  else {
    execFileSync('cp', ['-a', older, newer]);
    for (let i = 0; i < CHANGE_COUNT; i++) change(newer, random);
  }
  return [older, newer];
}

for (let seed = 1; seed <= CASE_COUNT; seed++) {
  test.serial(`over an older version, seed ${seed}`, async (t) => {
    if (!requirement(t, { root: true, commands: ['casync'] })) return;
    const folder = temporaryFolder(t);
    const path = (name: string) => join(folder, name);
    const [older, newer] = makeVersions(folder, randomFrom(7000 + seed));
    const delta = seed % 3 === 0 ? '--delete=no' : '--delete=yes';
    for (const version of [older, newer]) {
      await succeed(runReference(['make', `${version}.catar`, version]));
    }
    await succeed(runReference(['extract', `${older}.catar`, path('reference')]));
    await succeed(runCasync(['extract', `${older}.catar`, path('ours')]));
    await succeed(runReference([delta, 'extract', `${newer}.catar`, path('reference')]));
    await succeed(runCasync([delta, 'extract', `${newer}.catar`, path('ours')]));
    t.deepEqual(compareTrees(path('reference'), path('ours')), []);
    for (const verb of ['digest', 'list', 'mtree']) {
      const [theirs, own] = await Promise.all(
        ['reference', 'ours'].map((name) => succeed(runReference([verb], { cwd: path(name) }))),
      );
      t.is(own.stdout.toString(), theirs.stdout.toString(), verb);
    }
  });
}
