/** The launcher in a made-up checkout: when it builds, when it does not, and what it says. */
import { execFile } from 'node:child_process';
import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fse from 'fs-extra';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const PROJECT = resolve(import.meta.dirname, '../..');

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function checkout(t: ExecutionContext, answer: string): string {
  const root = temporaryFolder(t);
  for (const folder of ['cli', 'formats', 'lib', 'store']) fse.ensureDirSync(join(root, folder));
  for (const file of [
    'cli/casync.cjs',
    'cli/library.mjs',
    'cli/bundles.cjs',
    'cli/compile-cache.cjs',
    'cli/build.mjs',
    'package.json',
  ]) {
    fse.copySync(join(PROJECT, file), join(root, file), { preserveTimestamps: true });
  }
  fse.symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
  fse.outputFileSync(join(root, 'lib/work/worker.node.ts'), 'export const worker = true;\n');
  fse.outputFileSync(join(root, 'lib/index.node.ts'), 'export const library = true;\n');
  writeSource(root, answer);
  return root;
}

function writeSource(root: string, answer: string): void {
  fse.writeFileSync(join(root, 'lib/answer.ts'), `export const answer: string = '${answer}';\n`);
  fse.writeFileSync(
    join(root, 'cli/main.ts'),
    `import { answer } from '../lib/answer.ts';
     export async function main(program: string, words: readonly string[]): Promise<number> {
       if (words[0] === 'throw') throw new Error('first line\\nsecond line');
       console.log([program.split('/').pop(), answer, ...words].join(' '));
       return words[0] === 'fail' ? 7 : 0;
     }`,
  );
}

function run(root: string, words: readonly string[], cwd = '/'): Promise<Outcome> {
  return new Promise((done) => {
    const launcher = join(root, 'cli/casync.cjs');
    const child = execFile(process.execPath, [launcher, ...words], { cwd }, (_, stdout, stderr) =>
      done({ status: child.exitCode, stdout, stderr }),
    );
  });
}

test('the first run builds and answers, from any folder', async (t) => {
  const root = checkout(t, 'one');
  const outcome = await run(root, ['a', 'b'], '/tmp');
  t.deepEqual(outcome, { status: 0, stdout: 'casync one a b\n', stderr: '' });
});

test('the status of the program is the status of the process', async (t) => {
  t.is((await run(checkout(t, 'one'), ['fail'])).status, 7);
});

test('a second run leaves the bundle alone', async (t) => {
  const root = checkout(t, 'one');
  // The sources are older than the build by more than the time grain.
  const old = new Date(Date.now() - 60_000);
  for (const part of [
    'lib/answer.ts',
    'cli/main.ts',
    'package.json',
    'lib/work/worker.node.ts',
    'lib/index.node.ts',
    'lib/work',
    'lib',
    'cli',
    'store',
    'formats',
  ]) {
    utimesSync(join(root, part), old, old);
  }
  await run(root, []);
  const inode = statSync(join(root, 'dist/casync.cjs')).ino;
  await run(root, []);
  t.is(statSync(join(root, 'dist/casync.cjs')).ino, inode);
});

test('code that was compiled is remembered, for this bundle only, and stale code is not used', async (t) => {
  const root = checkout(t, 'one');
  const folder = join(root, 'dist/compile-cache');
  const remembered = () => readdirSync(folder).sort();
  await run(root, []);
  const first = remembered();
  t.true(first.length > 0);
  t.is((await run(root, [])).stdout, 'casync one\n');
  t.deepEqual(remembered(), first);
  // As long as before: V8 itself would take the old code for good.
  writeSource(root, 'two');
  t.is((await run(root, [])).stdout, 'casync two\n');
  t.is((await run(root, ['a'])).stdout, 'casync two a\n');
  for (const name of remembered()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) fse.writeFileSync(path, 'garbage');
  }
  t.deepEqual(await run(root, []), { status: 0, stdout: 'casync two\n', stderr: '' });
});

test('a changed source is built again', async (t) => {
  const root = checkout(t, 'one');
  await run(root, []);
  writeSource(root, 'two');
  t.is((await run(root, [])).stdout, 'casync two\n');
});

test('parallel first runs all succeed and leave no temporary files', async (t) => {
  const root = checkout(t, 'one');
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => run(root, [])));
  for (const outcome of outcomes)
    t.deepEqual(outcome, { status: 0, stdout: 'casync one\n', stderr: '' });
  const files = readdirSync(join(root, 'dist')).filter((name) => name !== 'compile-cache');
  const bundles = ['casync.cjs', 'library.cjs', 'worker.cjs'];
  t.deepEqual(
    files.sort(),
    bundles.flatMap((name) => [name, `${name}.map`]),
  );
});

for (const name of ['worker.cjs', 'library.cjs']) {
  test(`a missing ${name} is built`, async (t) => {
    const root = checkout(t, 'one');
    await run(root, []);
    rmSync(join(root, 'dist', name));
    t.is((await run(root, [])).stdout, 'casync one\n');
    t.true(statSync(join(root, 'dist', name)).isFile());
  });
}

test('without sources the bundle is used as it is', async (t) => {
  const root = checkout(t, 'one');
  await run(root, []);
  for (const folder of [
    'lib',
    'store',
    'formats',
    'cli/main.ts',
    'cli/build.mjs',
    'node_modules',
  ]) {
    rmSync(join(root, folder), { recursive: true });
  }
  t.is((await run(root, [])).stdout, 'casync one\n');
});

test('a bundle that cannot be written is one line on standard error and status 1', async (t) => {
  const root = checkout(t, 'one');
  // A file in the way of the folder: no permission trick stops the superuser.
  fse.writeFileSync(join(root, 'dist'), '');
  const outcome = await run(root, []);
  t.is(outcome.status, 1);
  t.regex(outcome.stderr, /^casync: cannot build .*dist\/casync\.cjs: [^\n]+\n$/);
});

test('a missing bundle without sources is one line on standard error and status 1', async (t) => {
  const root = checkout(t, 'one');
  rmSync(join(root, 'cli/main.ts'));
  const outcome = await run(root, []);
  t.is(outcome.status, 1);
  t.regex(outcome.stderr, /^casync: cannot load .*dist\/casync\.cjs: [^\n]+\n$/);
});

test('an unexpected failure is one line without a stack trace', async (t) => {
  const outcome = await run(checkout(t, 'one'), ['throw']);
  t.is(outcome.status, 1);
  t.is(outcome.stderr, 'casync: internal error: first line second line\n');
});
