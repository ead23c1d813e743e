/** Files that replace others are on disk before they get their names (spec/promises.md, 3), seen by strace. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const CALLS = 'fsync,syncfs,renameat';
const LINE = /^\d+ +(\w+)\((.*)\) += 0/;

/** Extracts over an older tree. @returns calls with the names of the files, in order */
async function tracedUpdate(t: ExecutionContext, names: readonly string[], size: number) {
  const folder = temporaryFolder(t);
  const [source, target, archive, log] = ['source', 'target', 'x.catar', 'log'].map((name) => {
    return join(folder, name);
  });
  mkdirSync(source);
  mkdirSync(target);
  for (const name of names) {
    writeFileSync(join(source, name), Buffer.alloc(size, 'new'));
    writeFileSync(join(target, name), 'old');
  }
  await succeed(runCasync(['--without=privileged', 'make', archive, source]));
  const wrapper = ['strace', '-f', '-y', '-qq', '-o', log, '-e', `trace=${CALLS}`];
  const args = ['--without=privileged', 'extract', archive, target];
  await succeed(runCasync(args, { wrapper, env: { CASYNC_WORKERS: '0' } }));
  t.deepEqual(readdirSync(target).sort(), [...names].sort());
  return readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, call, words = ''] = LINE.exec(line) ?? [];
      const name = /\.#(\w+?)[0-9a-f]{16}/.exec(words)?.[1];
      return call === undefined || name === undefined ? [] : [`${call} ${name}`];
    });
}

const named = (count: number) => Array.from({ length: count }, (_, i) => `f${10 + i}x`);

test('a few files are synced one by one, then renamed', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const names = named(3);
  t.deepEqual(await tracedUpdate(t, names, 1000), [
    ...names.map((name) => `fsync ${name}`),
    ...names.map((name) => `renameat ${name}`),
  ]);
});

test('many files are synced together, then renamed', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const names = named(70);
  const calls = await tracedUpdate(t, names, 1000);
  const renames = names.map((name) => `renameat ${name}`);
  const [first, second] = [renames.slice(0, 64), renames.slice(64)];
  t.deepEqual(calls, [
    'syncfs f10x',
    ...first,
    ...second.map((name) => name.replace('renameat', 'fsync')),
    ...second,
  ]);
});

test('each large file is synced and renamed on its own', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const names = named(2);
  t.deepEqual(
    await tracedUpdate(t, names, 300_000),
    names.flatMap((name) => [`fsync ${name}`, `renameat ${name}`]),
  );
});
