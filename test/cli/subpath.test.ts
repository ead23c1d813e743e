/** A part of an archive costs what it needs, and says what the original says of it. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** A thousand folders of one file each, about 20 MB, behind an index. */
async function makeWideTree(t: ExecutionContext): Promise<string> {
  const cwd = temporaryFolder(t);
  for (let i = 0; i < 1000; i++) {
    fs.mkdirSync(join(cwd, `tree/folder-${i}`), { recursive: true });
    fs.writeFileSync(join(cwd, `tree/folder-${i}/file`), noise(20_000, i + 1));
  }
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  return cwd;
}

/** Runs a command and counts the different chunk files that it opens. */
async function countChunks(
  t: ExecutionContext,
  cwd: string,
  args: readonly string[],
): Promise<number> {
  const wrapper = ['strace', '-f', '-o', 'trace', '-e', 'trace=open,openat,openat2'];
  const result = await runCasync(args, { cwd, wrapper, env: { CASYNC_WORKERS: '0' } });
  t.is(result.status, 0, describeRun(result));
  const trace = fs.readFileSync(join(cwd, 'trace'), 'latin1');
  return new Set(trace.match(/[0-9a-f]{64}\.cacnk/g) ?? []).size;
}

test('a small file of a thousand folders costs a few chunks', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const cwd = await makeWideTree(t);
  const all = await countChunks(t, cwd, ['digest', 'x.caidx']);
  t.true(all > 150, `${all} chunks in all`);
  for (const args of [
    ['extract', 'x.caidx', 'out', 'folder-500/file'],
    ['list', 'x.caidx', 'folder-700'],
    ['mtree', 'x.caidx', 'folder-3'],
    ['stat', 'x.caidx', 'folder-999/file'],
    ['digest', 'x.caidx', 'folder-250'],
  ]) {
    const count = await countChunks(t, cwd, args);
    t.true(count > 0 && count <= 10, `${args.join(' ')}: ${count} of ${all} chunks`);
  }
  const file = fs.readFileSync(join(cwd, 'tree/folder-500/file'));
  t.true(fs.readFileSync(join(cwd, 'out/file')).equals(file));
});

test('parts are shown and extracted as the original does, with and without an index', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const cwd = temporaryFolder(t);
  fs.mkdirSync(join(cwd, 'tree/sub/deeper'), { recursive: true });
  fs.writeFileSync(join(cwd, 'tree/sub/file'), noise(200_000));
  fs.writeFileSync(join(cwd, 'tree/sub/deeper/empty'), '');
  fs.symlinkSync('file', join(cwd, 'tree/sub/link'));
  execFileSync('mkfifo', [join(cwd, 'tree/sub/fifo')]);
  const env = { CASYNC_DIGEST: 'sha512-256' };
  for (const output of ['x.catar', 'x.caidx']) {
    await succeed(runReference(['make', output, 'tree'], { cwd, env }));
  }
  for (const input of ['x.catar', 'x.caidx']) {
    for (const part of ['sub', 'sub/deeper', 'sub/file', 'sub/link', 'sub/fifo', '/sub//deeper/']) {
      for (const verb of ['list', 'mtree', 'stat']) {
        const ours = await runCasync([verb, input, part], { cwd, env });
        const theirs = await runReference([verb, input, part], { cwd, env });
        t.is(ours.stdout.toString(), theirs.stdout.toString(), `${verb} ${input} ${part}`);
      }
    }
    for (const part of ['sub', 'sub/deeper', 'sub/file']) {
      const ours = await runCasync(['digest', input, part], { cwd, env });
      const theirs = await runReference(['digest', input, part], { cwd, env });
      t.is(ours.stdout.toString(), theirs.stdout.toString(), `digest ${input} ${part}`);
    }
    await succeed(runCasync(['extract', input, 'own', 'sub'], { cwd, env }));
    await succeed(runReference(['extract', input, 'their', 'sub'], { cwd, env }));
    const [own, their] = await Promise.all(
      ['own', 'their'].map((folder) => runReference(['mtree', join(folder, 'sub')], { cwd, env })),
    );
    t.is(own.stdout.toString(), their.stdout.toString());
    for (const folder of ['own', 'their']) fs.rmSync(join(cwd, folder), { recursive: true });
  }
});

test('one level of a tree is listed alike in every form', async (t) => {
  const cwd = temporaryFolder(t);
  fs.mkdirSync(join(cwd, 'tree/sub/deeper'), { recursive: true });
  fs.writeFileSync(join(cwd, 'tree/file'), noise(100_000));
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  const expected = 'drwxr-xr-x .\n-rw-r--r-- file\ndrwxr-xr-x sub\n';
  for (const input of ['tree', 'x.catar', 'x.caidx']) {
    const result = await succeed(runCasync(['list', '--recursive=no', input], { cwd }));
    t.is(result.stdout.toString(), expected);
  }
  const stdin = fs.readFileSync(join(cwd, 'x.catar'));
  const piped = await succeed(runCasync(['list', '--recursive=no', '-'], { cwd, stdin }));
  t.is(piped.stdout.toString(), expected);
});
