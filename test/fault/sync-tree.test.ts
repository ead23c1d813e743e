/** `sync` of folders, killed while it works: every file is old or new, and the next run completes it. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees, snapshotTree } from '../helpers/tree-snapshot.ts';
import { canTrace, describePoint, findKillPoints, runUntilKilled, spread } from './kill-points.ts';

const POINTS = 12;
/** Names of what is not complete, escaped. */
const UNFINISHED = /(?:^|\/)\.(?:\\043|casync-session\.)/;

/** Two versions of a tree: files were moved, copied, exchanged, edited and removed. */
function prepare(source: string, old: string): void {
  for (const name of ['a', 'b', 'gone']) mkdirSync(join(old, name), { recursive: true });
  for (let i = 0; i < 8; i++) {
    writeFileSync(join(old, i % 2 === 0 ? 'a' : 'b', `file-${i}`), randomBytes(3000 + 100 * i));
  }
  writeFileSync(join(old, 'gone/large'), randomBytes(400_000));
  cpSync(old, source, { recursive: true, preserveTimestamps: true });
  mkdirSync(join(source, 'new'));
  renameSync(join(source, 'gone/large'), join(source, 'new/large'));
  renameSync(join(source, 'gone'), join(source, 'other'));
  copyFileSync(join(source, 'new/large'), join(source, 'a/copy'));
  renameSync(join(source, 'a/file-0'), join(source, 'exchanged'));
  renameSync(join(source, 'b/file-1'), join(source, 'a/file-0'));
  renameSync(join(source, 'exchanged'), join(source, 'b/file-1'));
  writeFileSync(join(source, 'a/file-2'), randomBytes(5000));
  for (const name of ['one', 'two']) writeFileSync(join(source, name), Buffer.alloc(200_000, 'x'));
}

/** Contents of all files by their paths. */
function contents(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [path, description] of snapshotTree(root)) {
    const content = /content=(\w+)/.exec(description)?.[1];
    if (content !== undefined) found.set(path, content);
  }
  return found;
}

test('killed anywhere, every file is old or new, and the next run completes the tree', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const folder = temporaryFolder(t);
  const [source, old] = [join(folder, 'source'), join(folder, 'old')];
  prepare(source, old);
  const place = makeTemporaryFolder();
  t.teardown(() => removeTree(place));
  const target = join(place, 'target');
  const fresh = (): void => {
    removeTree(target);
    cpSync(old, target, { recursive: true, preserveTimestamps: true });
  };
  const args = ['sync', '--fsync=none', '--jobs=1', source, target];
  fresh();
  const points = spread(await findKillPoints(args, place), POINTS);
  t.deepEqual(compareTrees(source, target), []);
  const [before, after] = [contents(old), contents(source)];
  let killedCount = 0;
  for (const point of points) {
    fresh();
    if (await runUntilKilled(args, point)) killedCount += 1;
    for (const [path, content] of contents(target)) {
      if (UNFINISHED.test(path)) continue;
      const isOldOrNew = content === before.get(path) || content === after.get(path);
      t.true(isOldOrNew, `${describePoint(point)}: ${path}`);
    }
    const result = await runCasync(args);
    t.is(result.status, 0, describeRun(result));
    t.deepEqual(compareTrees(source, target), [], describePoint(point));
  }
  t.true(killedCount > 0 || !canTrace());
  t.log(`killed at ${killedCount} points`);
  t.true(readFileSync(join(target, 'one')).length === 200_000);
});
