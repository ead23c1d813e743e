/** What `extract` syncs (spec/formats/extraction.md), seen by strace. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const TRACE = ['strace', '-f', '-y', '-qq', '-e', 'trace=fsync,fdatasync,syncfs,rename,renameat'];

/** Names of the calls of a run, in order, those on other files than the output left out. */
async function callsOf(folder: string, ...args: readonly string[]): Promise<readonly string[]> {
  const log = join(folder, 'log');
  const wrapper = [...TRACE, '-e', 'signal=none', '-o', log];
  await succeed(runCasync(args, { cwd: folder, wrapper }));
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /["/#]out-/.test(line))
    .map((line) => /^\d+ +(\w+)\(/.exec(line)?.[1].replace(/at$/, '') ?? line);
}

async function prepare(t: ExecutionContext): Promise<string | undefined> {
  if (!requirement(t, { commands: ['strace'] })) return undefined;
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree'));
  writeFileSync(join(folder, 'tree/small'), noise(100));
  writeFileSync(join(folder, 'tree/large'), noise(300_000));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd: folder }));
  await succeed(runCasync(['make', 'x.caibx', CASYNC], { cwd: folder }));
  return folder;
}

test('new files are not synced, unless --fsync asks for it', async (t) => {
  const folder = await prepare(t);
  if (folder === undefined) return;
  t.deepEqual(await callsOf(folder, 'extract', 'x.caibx', 'out-1'), ['rename']);
  t.deepEqual(await callsOf(folder, 'extract', '--fsync', 'x.caibx', 'out-2'), ['fsync', 'rename']);
  t.false((await callsOf(folder, 'extract', 'x.caidx', 'out-3')).some((call) => /sync/.test(call)));
  t.is((await callsOf(folder, 'extract', '--fsync', 'x.caidx', 'out-4')).at(-1), 'syncfs');
});

test('what takes the place of an older file is synced before', async (t) => {
  const folder = await prepare(t);
  if (folder === undefined) return;
  const pair = ['fsync', 'rename'];
  await succeed(runCasync(['extract', 'x.caibx', 'out-blob'], { cwd: folder }));
  t.deepEqual(await callsOf(folder, 'extract', '--seed-output=no', 'x.caibx', 'out-blob'), pair);
  await succeed(runCasync(['extract', 'x.caidx', 'out-tree'], { cwd: folder }));
  writeFileSync(join(folder, 'out-tree/small'), noise(100, 2));
  t.deepEqual(await callsOf(folder, 'extract', 'x.caidx', 'out-tree'), pair);
});

test('an update in place syncs its journal, then the file', async (t) => {
  const folder = await prepare(t);
  if (folder === undefined) return;
  const content = noise(500_000);
  writeFileSync(join(folder, 'blob'), content);
  await succeed(runCasync(['make', 'y.caibx', 'blob'], { cwd: folder }));
  content[250_000] ^= 1;
  writeFileSync(join(folder, 'out-blob'), content);
  const calls = await callsOf(folder, 'extract', '--reflink=no', 'y.caibx', 'out-blob');
  t.deepEqual(calls, ['fsync', 'fsync']);
});

test('nothing is synced where nothing changes', async (t) => {
  const folder = await prepare(t);
  if (folder === undefined) return;
  for (const index of ['x.caibx', 'x.caidx']) {
    await succeed(runCasync(['extract', index, `out-${index}`], { cwd: folder }));
    t.deepEqual(await callsOf(folder, 'extract', index, `out-${index}`), [], index);
  }
});
