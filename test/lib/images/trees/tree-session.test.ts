import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { syncTrees } from '../../../helpers/tree-session.ts';
import { compareTrees } from '../../../helpers/tree-snapshot.ts';

interface Folders {
  readonly source: string;
  readonly target: string;
}

function folders(t: ExecutionContext): Folders {
  const folder = temporaryFolder(t);
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  mkdirSync(source);
  return { source, target };
}

/** A tree of some of everything. */
function fill(source: string): void {
  for (const name of ['a', 'b', 'empty', 'a/inner']) mkdirSync(join(source, name));
  for (let i = 0; i < 40; i++) {
    writeFileSync(join(source, i % 2 === 0 ? 'a' : 'b', `file-${i}`), randomBytes(100 + 37 * i));
  }
  writeFileSync(join(source, 'a/inner/large'), randomBytes(1_000_003));
  writeFileSync(join(source, 'nothing'), '');
  symlinkSync('a/file-0', join(source, 'link'));
  chmodSync(join(source, 'b/file-1'), 0o751);
  utimesSync(join(source, 'b/file-3'), 1_000_000_000, 1_000_000_000.25);
}

test('a new target becomes equal, and a second run writes nothing', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  t.deepEqual(compareTrees(source, target), []);
  const before = statSync(join(target, 'a')).ctimeMs;
  const again = await syncTrees(source, target);
  t.is(again.received.statistics.changedCount, 0);
  t.is(statSync(join(target, 'a')).ctimeMs, before);
  t.true(again.wireBytes < 1024, `${again.wireBytes} bytes`);
});

test('moved and copied content does not cross', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  renameSync(join(source, 'a/inner/large'), join(source, 'b/moved'));
  renameSync(join(source, 'a/file-2'), join(source, 'a/file-4x'));
  copyFileSync(join(source, 'b/file-39'), join(source, 'copy'));
  copyFileSync(join(source, 'b/moved'), join(source, 'a/second'));
  rmSync(join(source, 'empty'), { recursive: true });
  const inode = statSync(join(target, 'a/inner/large')).ino;
  const { received } = await syncTrees(source, target);
  t.deepEqual(compareTrees(source, target), []);
  t.is(received.statistics.receivedBytes, 0);
  t.is(statSync(join(target, 'b/moved')).ino, inode, 'a moved file is the old one');
  t.not(statSync(join(target, 'a/second')).ino, inode);
  t.false(readdirSync(target).some((name) => name.startsWith('.casync')));
});

test('files that swap their names keep their contents', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  renameSync(join(source, 'a/file-0'), join(source, 'x'));
  renameSync(join(source, 'b/file-1'), join(source, 'a/file-0'));
  renameSync(join(source, 'x'), join(source, 'b/file-1'));
  const { received } = await syncTrees(source, target);
  t.deepEqual(compareTrees(source, target), []);
  t.is(received.statistics.receivedBytes, 0);
});

test('of a large file only what differs crosses, also behind an insertion', async (t) => {
  const { source, target } = folders(t);
  const image = randomBytes(4 * 1024 * 1024);
  const text = randomBytes(3_000_001);
  writeFileSync(join(source, 'image'), image);
  writeFileSync(join(source, 'text'), text);
  await syncTrees(source, target);
  image.fill(7, 1_000_000, 1_000_100);
  writeFileSync(join(source, 'image'), image);
  writeFileSync(
    join(source, 'text'),
    Buffer.concat([text.subarray(0, 1000), Buffer.from('inserted'), text.subarray(1000)]),
  );
  const { received, wireBytes } = await syncTrees(source, target);
  t.true(received.statistics.receivedBytes < 40_000, `${received.statistics.receivedBytes}`);
  t.true(wireBytes < 60_000, `${wireBytes}`);
  t.deepEqual(compareTrees(source, target), []);
});

test('content that comes new at several places crosses once', async (t) => {
  const { source, target } = folders(t);
  const content = randomBytes(300_000);
  for (const name of ['one', 'two', 'three']) writeFileSync(join(source, name), content);
  const { received } = await syncTrees(source, target);
  t.is(received.statistics.receivedBytes, content.length);
  t.deepEqual(compareTrees(source, target), []);
});

test('only metadata that differs are changed', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  chmodSync(join(source, 'a/file-6'), 0o600);
  utimesSync(join(source, 'a/inner/large'), 1, 1);
  utimesSync(join(source, 'b'), 2, 2);
  const inode = statSync(join(target, 'a/inner/large')).ino;
  const { received } = await syncTrees(source, target);
  t.deepEqual(compareTrees(source, target), []);
  t.is(received.statistics.receivedBytes, 0);
  t.is(statSync(join(target, 'a/inner/large')).ino, inode);
});

test('what is not in the source goes, unless it may stay', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  writeFileSync(join(target, 'a/extra'), 'x');
  mkdirSync(join(target, 'more'));
  const kept = await syncTrees(source, target, { delete: false });
  t.is(kept.received.statistics.changedCount, 1, 'the time of the folder');
  t.true(readdirSync(target).includes('more'));
  const { received } = await syncTrees(source, target);
  t.true(received.isComplete);
  t.deepEqual(compareTrees(source, target), []);
});

test('what may stay stays a file of its own when its content is wanted elsewhere', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  renameSync(join(source, 'a/inner/large'), join(source, 'moved'));
  await syncTrees(source, target, { delete: false });
  const [old, moved] = ['a/inner/large', 'moved'].map((path) => statSync(join(target, path)));
  t.not(old?.ino, moved?.ino);
  t.is(old?.nlink, 1);
  t.deepEqual(readFileSync(join(target, 'moved')), readFileSync(join(source, 'moved')));
});

test('a dry run says what would be done, and does nothing', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  writeFileSync(join(source, 'a/file-8'), 'new content');
  renameSync(join(source, 'b/file-39'), join(source, 'moved'));
  const before = temporaryFolder(t);
  cpSync(target, join(before, 'copy'), { recursive: true, preserveTimestamps: true });
  const { received } = await syncTrees(source, target, { dryRun: true });
  t.like(received.statistics, { receivedBytes: 11, ownBytes: 100 + 37 * 39 });
  t.deepEqual(readFileSync(join(target, 'b/file-39')).length, 100 + 37 * 39);
  t.false(readdirSync(target).includes('moved'));
});

test('with a check, content that has changed under an old time is found', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  const path = join(target, 'a/inner/large');
  const { atime, mtime } = statSync(path);
  const bytes = readFileSync(path);
  bytes[500_000] ^= 1;
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
  utimesSync(path, 1, statSync(join(source, 'a/inner/large')).mtime);
  await syncTrees(source, target, { checks: true });
  t.deepEqual(readFileSync(path), readFileSync(join(source, 'a/inner/large')));
});

test('entries change their types', async (t) => {
  const { source, target } = folders(t);
  fill(source);
  await syncTrees(source, target);
  unlinkSync(join(source, 'link'));
  mkdirSync(join(source, 'link'));
  renameSync(join(source, 'a/inner/large'), join(source, 'link/large'));
  rmSync(join(source, 'a/inner'), { recursive: true });
  symlinkSync('x', join(source, 'a/inner'));
  const { received } = await syncTrees(source, target);
  t.is(received.statistics.receivedBytes, 0);
  t.deepEqual(compareTrees(source, target), []);
});

test('several names of one file become files of their own', async (t) => {
  const { source, target } = folders(t);
  writeFileSync(join(source, 'one'), randomBytes(200_000));
  linkSync(join(source, 'one'), join(source, 'two'));
  const { received } = await syncTrees(source, target);
  t.is(received.statistics.receivedBytes, 200_000);
  t.not(statSync(join(target, 'one')).ino, statSync(join(target, 'two')).ino);
});
