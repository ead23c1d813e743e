// --cache and --cache-auto on the command line: the same index, nothing on stdout, nothing read twice.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { datesChanges } from '../../lib/make/file-identity.ts';
import { fileSystemType } from '../../lib/os/file-system.node.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { randomFrom } from '../property/random.ts';

/** A folder that nobody has changed for a while. */
const OLD_TREE = realpathSync(resolve(import.meta.dirname, '../../node_modules/fast-check'));

function smallTree(t: ExecutionContext): { readonly folder: string; readonly tree: string } {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  const random = randomFrom(1);
  for (const name of ['b', 'd', 'f']) {
    mkdirSync(join(tree, name), { recursive: true });
    for (let i = 0; i < 6; i++) {
      writeFileSync(join(tree, name, `file ${i}`), random.bytes(random.integer(0, 60_000)));
    }
  }
  writeFileSync(join(tree, 'd/large'), random.bytes(1_500_000));
  symlinkSync('file 1', join(tree, 'b/link'));
  return { folder, tree };
}

test.serial('a cache changes nothing but the work, whatever is edited', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, tree } = smallTree(t);
  const steps: readonly (() => void)[] = [
    () => {},
    () => {},
    () => cpSync(join(tree, 'b'), join(tree, 'a'), { recursive: true }),
    () => cpSync(join(tree, 'b'), join(tree, 'c'), { recursive: true }),
    () => cpSync(join(tree, 'b'), join(tree, 'g'), { recursive: true }),
    () => rmSync(join(tree, 'd/file 3')),
    () => rmSync(join(tree, 'f'), { recursive: true }),
    () => appendFileSync(join(tree, 'd/file 4'), 'appended'),
    () => appendFileSync(join(tree, 'd/large'), 'appended'),
  ];
  for (const [i, step] of steps.entries()) {
    step();
    for (const digest of ['sha256', 'sha512-256']) {
      const common = [`--digest=${digest}`, `--store=${join(folder, 'store')}`];
      const ours = join(folder, `ours${i}.caidx`);
      const cache = `--cache=${join(folder, 'cache')}`;
      const made = await succeed(runCasync(['make', ...common, cache, ours, tree]));
      t.is(made.stdout.toString(), '');
      t.is(made.stderr.toString(), '');
      const theirs = join(folder, `theirs${i}.caidx`);
      await succeed(runReference(['make', ...common, theirs, tree]));
      t.true(readFileSync(ours).equals(readFileSync(theirs)), `step ${i}, ${digest}`);
    }
  }
});

test.serial('--cache-auto makes .cacac, which is not archived', async (t) => {
  const { folder, tree } = smallTree(t);
  const store = `--store=${join(folder, 'store')}`;
  const indexes: Buffer[] = [];
  for (const name of ['a', 'b', 'c']) {
    const index = join(folder, `${name}.caidx`);
    const made = await succeed(runCasync(['make', '-c', store, index, tree]));
    t.is(made.stdout.length + made.stderr.length, 0);
    indexes.push(readFileSync(index));
  }
  t.true(existsSync(join(tree, '.cacac')));
  t.true(indexes[0].equals(indexes[1]) && indexes[1].equals(indexes[2]));
  const listed = await succeed(runCasync(['list', store, join(folder, 'a.caidx')]));
  t.false(listed.stdout.toString().includes('cacac'));
  const plain = await succeed(runCasync(['digest', tree]));
  const index = await succeed(runCasync(['digest', store, join(folder, 'a.caidx')]));
  t.is(index.stdout.toString(), plain.stdout.toString());
});

test.serial('--cache wins over --cache-auto', async (t) => {
  const { folder, tree } = smallTree(t);
  const cache = join(folder, 'cache');
  await succeed(runCasync(['make', '-c', `--cache=${cache}`, join(folder, 'x.caidx'), tree]));
  t.true(existsSync(cache));
  t.false(existsSync(join(tree, '.cacac')));
});

test.serial('what cannot have a cache is refused or does without', async (t) => {
  const { folder, tree } = smallTree(t);
  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['Caching only supported when archiving files trees.', ['-c', 'x.caibx', 'tree/d/large']],
    [
      'Caching only supported when archiving files trees.',
      ['--cache=c', 'x.caibx', 'tree/d/large'],
    ],
    ["Can't automatically derive cache path if no input path is given.", ['-c', 'x.caidx', '-']],
  ];
  for (const [message, words] of refused) {
    const wrapper = ['sh', '-c', `exec "$@" <${tree}`, 'sh'];
    const run = await runCasync(['make', ...words], { cwd: folder, wrapper });
    t.is(run.status, 1, message);
    t.is(run.stderr.toString(), `${message}\n`);
  }
  const missing = await runCasync(['make', '--cache=no/such', 'x.caidx', 'tree'], { cwd: folder });
  t.not(missing.status, 0);
  t.is(
    missing.stderr.toString(),
    'Failed to run synchronizer: no/such: create folder: No such file or directory\n',
  );
  t.false(existsSync(join(folder, 'x.caidx')));
  const archive = await succeed(
    runCasync(['make', '--cache=c', 'x.catar', 'tree'], { cwd: folder }),
  );
  t.is(archive.stdout.toString(), '');
  t.true(statSync(join(folder, 'x.catar')).size > 1_500_000);
});

test.serial('-v tells hits and misses', async (t) => {
  const { folder } = smallTree(t);
  const words = ['make', '-v', '--cache=c', '--store=s', 'x.caidx', OLD_TREE];
  const counts: (readonly string[] | undefined)[] = [];
  for (let i = 0; i < 2; i++) {
    const { stderr } = await succeed(runCasync(words, { cwd: folder }));
    const line = /^Cache hits: (\d+), misses: (\d+), invalidated: (\d+), added: (\d+)$/m;
    counts.push(line.exec(stderr.toString())?.slice(1));
  }
  t.deepEqual(counts[0]?.[0], '0');
  t.is(counts[1]?.length, 4);
  if (!datesChanges(fileSystemType(Buffer.from(OLD_TREE)))) return;
  t.deepEqual(counts[1]?.slice(1), ['0', '0', '0']);
  t.is(counts[1]?.[0], counts[0]?.[3]);
});

test.serial('no file of a tree that has not changed is read again', async (t) => {
  const isDated = datesChanges(fileSystemType(Buffer.from(OLD_TREE)));
  const conditions = { 'a file system that dates changes': isDated };
  if (!requirement(t, { commands: ['strace'], conditions })) return;
  const folder = temporaryFolder(t);
  const words = ['make', '--cache=c', '--store=s', 'x.caidx', OLD_TREE];
  const traced = (name: string): readonly string[] => {
    const log = join(folder, name);
    const calls = 'read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendfile';
    const strace = ['-f', '-y', '-e', `trace=${calls}`, '-o', log];
    const run = spawnSync('strace', [...strace, process.execPath, CASYNC, ...words], {
      cwd: folder,
      env: { ...process.env, CASYNC_WORKERS: '1' },
    });
    t.is(run.status, 0, run.stderr.toString());
    return readFileSync(log, 'latin1')
      .split('\n')
      .filter((line) => line.includes(`<${OLD_TREE}/`));
  };
  t.true(traced('first').length > 5);
  t.deepEqual(traced('second'), []);
});
