/** `diff`, as scripts meet it (spec/command-line.md, "diff"). */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** Two trees that differ, as folders, archives and archive indexes. */
async function makeTrees(t: ExecutionContext): Promise<string> {
  const folder = temporaryFolder(t);
  const write = (path: string, content: Uint8Array | string): void => {
    fs.mkdirSync(join(folder, path, '..'), { recursive: true });
    fs.writeFileSync(join(folder, path), content);
  };
  write('a/same', noise(200_000));
  write('a/content', 'one');
  write('a/gone', '');
  write('a/sub/deep/mode', 'x');
  fs.symlinkSync('here', join(folder, 'a/link'));
  fs.writeFileSync(Buffer.from(`${folder}/a/n\xff me`, 'latin1'), '');
  execFileSync('cp', ['-a', join(folder, 'a'), join(folder, 'b')]);
  write('b/content', 'two');
  fs.rmSync(join(folder, 'b/gone'));
  write('b/new/file', '1');
  fs.chmodSync(join(folder, 'b/sub/deep/mode'), 0o600);
  fs.rmSync(join(folder, 'b/link'));
  fs.symlinkSync('there', join(folder, 'b/link'));
  fs.rmSync(Buffer.from(`${folder}/b/n\xff me`, 'latin1'));
  const time = new Date(1_700_000_000_000);
  execFileSync('find', ['a', 'b', '-exec', 'touch', '-h', '-d', time.toISOString(), '{}', '+'], {
    cwd: folder,
  });
  for (const tree of ['a', 'b']) {
    await succeed(runCasync(['make', `${tree}.catar`, tree], { cwd: folder }));
    await succeed(runCasync(['make', `${tree}.caidx`, tree], { cwd: folder }));
  }
  return folder;
}

const EXPECTED = [
  'changed content content',
  'removed gone',
  'changed link target=here->there',
  'added new',
  'added new/file',
  'removed n\\377\\040me',
  'changed sub/deep/mode mode=0644->0600',
  '',
].join('\n');

test('trees differ in the same way in every form', async (t) => {
  const cwd = await makeTrees(t);
  for (const before of ['a', 'a.catar', 'a.caidx']) {
    for (const after of ['b', 'b.catar', 'b.caidx']) {
      const result = await runCasync(['diff', before, after], { cwd });
      t.is(result.status, 1, describeRun(result));
      t.is(result.stdout.toString(), EXPECTED, `${before} and ${after}`);
      t.is(result.stderr.toString(), '');
    }
  }
});

test('equal trees end with status 0 and without a word', async (t) => {
  const cwd = await makeTrees(t);
  for (const after of ['a', 'a.catar', 'a.caidx']) {
    const result = await runCasync(['diff', 'a.caidx', after], { cwd });
    t.deepEqual([result.status, result.stdout.length, result.stderr.length], [0, 0, 0]);
  }
});

test('equal indexes are compared without their store', async (t) => {
  const cwd = await makeTrees(t);
  fs.copyFileSync(join(cwd, 'a.caidx'), join(cwd, 'c.caidx'));
  fs.rmSync(join(cwd, 'default.castr'), { recursive: true });
  t.is((await runCasync(['diff', 'a.caidx', 'c.caidx'], { cwd })).status, 0);
});

test('an archive from a pipe is compared', async (t) => {
  const cwd = await makeTrees(t);
  const stdin = fs.readFileSync(join(cwd, 'b.catar'));
  const result = await runCasync(['diff', '--what=archive', 'a.caidx', '-'], { cwd, stdin });
  t.is(result.stdout.toString(), EXPECTED);
});

test('masks say what is compared', async (t) => {
  const cwd = await makeTrees(t);
  const masked = await runCasync(['diff', '--with=symlinks', 'a', 'b.caidx'], { cwd });
  t.is(masked.stdout.toString(), EXPECTED.replace(/^changed sub.*\n/m, ''));
  const bare = await runCasync(['diff', '--without=all', 'a.catar', 'b'], { cwd });
  t.notRegex(bare.stdout.toString(), /link|mode/);
  t.regex(bare.stdout.toString(), /^changed content content$/m);
});

test('as JSON every difference is an object, and the last one sums up', async (t) => {
  const cwd = await makeTrees(t);
  const result = await runCasync(['diff', '--json', 'a.caidx', 'b'], { cwd });
  t.is(result.status, 1);
  const lines = result.stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.like(lines[0], {
    change: 'changed',
    path: 'content',
    aspects: ['content'],
    before: { size: 3 },
  });
  t.like(lines[2], { path: 'link', aspects: ['target'], before: { target: 'here' } });
  t.like(lines[5], {
    change: 'removed',
    path: 'n\ufffd me',
    pathBase64: Buffer.from('n\xff me', 'latin1').toString('base64'),
    type: 'file',
  });
  t.deepEqual(lines.at(-1), {
    summary: { kind: 'trees', isEqual: false, addedCount: 2, removedCount: 2, changedCount: 3 },
  });
});

/** Two images, and their indexes. */
async function makeBlobs(t: ExecutionContext): Promise<string> {
  const folder = temporaryFolder(t);
  const image = noise(2_000_000);
  fs.writeFileSync(join(folder, 'a.img'), image);
  image.set(
    [1, 2, 3, 4].map((byte, i) => image[700_000 + i] ^ byte),
    700_000,
  );
  fs.writeFileSync(join(folder, 'b.img'), Buffer.concat([image, Buffer.from('tail')]));
  for (const name of ['a', 'b']) {
    await succeed(runCasync(['make', `${name}.caibx`, `${name}.img`], { cwd: folder }));
  }
  return folder;
}

test('blobs differ in the same ranges in every form', async (t) => {
  const cwd = await makeBlobs(t);
  for (const before of ['a.img', 'a.caibx']) {
    for (const after of ['b.img', 'b.caibx', '-']) {
      const stdin = after === '-' ? { stdin: fs.readFileSync(join(cwd, 'b.img')) } : {};
      const result = await runCasync(['diff', before, after], { cwd, ...stdin });
      t.is(result.status, 1, describeRun(result));
      t.is(result.stdout.toString(), 'changed 700000 700004\nsize 2000000 2000004\n');
    }
  }
  t.is((await runCasync(['diff', 'a.img', 'a.caibx'], { cwd })).status, 0);
});

test('without a store whole chunks of indexes are told', async (t) => {
  const cwd = await makeBlobs(t);
  const result = await runCasync(['diff', '--json', '--store=none.castr', 'a.caibx', 'b.caibx'], {
    cwd,
  });
  t.is(result.status, 1);
  const [range] = result.stdout
    .toString()
    .split('\n')
    .map((line) => line && JSON.parse(line));
  t.false(range.exact);
  t.true(range.start <= 700_000 && range.end >= 700_004);
});

test('what cannot be compared is refused', async (t) => {
  const cwd = await makeTrees(t);
  fs.writeFileSync(join(cwd, 'x.img'), '');
  const mixed = await runCasync(['diff', 'a', 'x.img'], { cwd });
  t.is(mixed.status, 1);
  t.regex(
    mixed.stderr.toString(),
    /^a is a tree and x\.img is a blob, which cannot be compared\.\n$/,
  );
  t.regex((await runCasync(['diff', 'a'], { cwd })).stderr.toString(), /^Two things to compare/);
  t.is((await runCasync(['diff', 'a', 'none.caidx'], { cwd })).status, 10);
  t.is((await runCasync(['diff', 'a', 'none'], { cwd })).status, 1);
});

test('contents that indexes have in common are not fetched', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const cwd = temporaryFolder(t);
  fs.mkdirSync(join(cwd, 'a'));
  for (let i = 0; i < 5; i++) fs.writeFileSync(join(cwd, `a/large-${i}`), noise(3_000_000, i + 1));
  execFileSync('cp', ['-a', join(cwd, 'a'), join(cwd, 'b')]);
  fs.writeFileSync(join(cwd, 'b/new'), 'x');
  for (const tree of ['a', 'b']) {
    await succeed(runCasync(['make', `${tree}.caidx`, tree], { cwd }));
  }
  const wrapper = ['strace', '-f', '-o', 'trace', '-e', 'trace=open,openat,openat2'];
  const env = { CASYNC_WORKERS: '0' };
  const result = await runCasync(['diff', 'a.caidx', 'b.caidx'], { cwd, env, wrapper });
  t.regex(result.stdout.toString(), /^changed \. mtime=\S+\nadded new\n$/);
  const trace = fs.readFileSync(join(cwd, 'trace'), 'latin1');
  const opened = new Set(trace.match(/[0-9a-f]{64}\.cacnk/g) ?? []).size;
  const all = fs
    .readdirSync(join(cwd, 'default.castr'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cacnk')).length;
  t.true(opened > 0 && opened < all / 4, `${opened} of ${all} chunks`);
});
