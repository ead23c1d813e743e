// --seed=FOLDER and --hardlink on the command line: round trips, with the original's words and files.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { editTree, filesBelow, makeEditableTree } from '../property/edits.ts';
import { randomFrom } from '../property/random.ts';
import { makeRandomTree, randomTreeOptions } from '../property/trees.ts';

/** What the command says of a tree. */
async function described(tree: string, digest: string): Promise<readonly string[]> {
  const outputs: string[] = [];
  for (const verb of ['list', 'mtree', 'digest']) {
    const { stdout } = await succeed(runCasync([verb, `--digest=${digest}`, tree]));
    outputs.push(stdout.toString('latin1'));
  }
  return outputs;
}

async function make(folder: string, tree: string, digest: string, run = runCasync) {
  const index = join(folder, `${digest}.caidx`);
  const store = `--store=${join(folder, 'store')}`;
  await succeed(run(['make', store, `--digest=${digest}`, index, tree]));
  return index;
}

/** A tree like those of the command's tests, without what only a real file system takes. */
function fullTree(t: ExecutionContext, seed: number) {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  const random = randomFrom(seed);
  const options = { ...randomTreeOptions(random), immutable: false, ancient: false };
  makeRandomTree(tree, random, { ...options, excludeRate: 0, ids: [0] });
  return { folder, tree };
}

for (const digest of ['sha256', 'sha512-256']) {
  for (const number of [1, 2, 3]) {
    test.serial(`tree ${number}, ${digest}: extracted with its source as seed`, async (t) => {
      const { folder, tree } = fullTree(t, number);
      const index = await make(folder, tree, digest);
      const expected = await described(tree, digest);
      for (const hardlink of ['no', 'yes']) {
        const output = join(folder, `out-${hardlink}`);
        // Everything comes from the seed: there is no such store.
        const stores = [`--store=${join(folder, 'none')}`, `--seed=${tree}`];
        const words = ['extract', ...stores, `--hardlink=${hardlink}`, index, output];
        for (const more of [[], ['-v'], []]) {
          const run = await succeed(runCasync([...words, ...more]));
          t.is(run.stdout.length, 0);
          if (more.length === 0) t.is(run.stderr.toString(), '');
          t.deepEqual(await described(output, digest), expected);
        }
        t.deepEqual(await described(tree, digest), expected);
      }
    });
  }
}

test.serial('the original can be the one that made the index, and agrees', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  makeEditableTree(tree, randomFrom(12));
  const index = await make(folder, tree, 'sha512-256', runReference);
  const seed = join(folder, 'seed');
  await succeed(runCasync(['extract', `--store=${join(folder, 'store')}`, index, seed]));
  editTree(seed, randomFrom(13));
  const output = join(folder, 'output');
  const words = ['extract', `--store=${join(folder, 'store')}`, `--seed=${seed}`, index, output];
  await succeed(runCasync(words));
  const theirs = await succeed(runReference(['digest', output]));
  t.is(
    theirs.stdout.toString(),
    (
      await succeed(runReference(['digest', `--store=${join(folder, 'store')}`, index]))
    ).stdout.toString(),
  );
});

test.serial('-v tells what is seeded and where chunks came from', async (t) => {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'sub/file'), randomFrom(3).bytes(100_000));
  const index = await make(folder, tree, 'sha256');
  const none = `--store=${join(folder, 'none')}`;
  const words = ['extract', '-v', '--hardlink=yes', none, `--seed=${tree}`, index];
  const { stderr } = await succeed(runCasync([...words, join(folder, 'output')]));
  const lines = stderr.toString().split('\n');
  for (const line of [
    'Seeding ./',
    'Seeding sub/file',
    'Seeded sub/file',
    'Seeded sub',
    'Seeded ./',
  ]) {
    t.true(lines.includes(line), line);
  }
  t.true(lines.includes('Bytes cloned through hardlinks: 97.6K'));
  t.true(
    lines.some((line) =>
      /^Chunk requests fulfilled from local seed: [1-9]\d* \(100%\)$/.test(line),
    ),
  );
  t.is(lstatSync(join(folder, 'output/sub/file')).nlink, 2);
});

test.serial('a seed that cannot be used is told of and ignored', async (t) => {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  makeEditableTree(tree, randomFrom(1));
  const index = await make(folder, tree, 'sha256');
  const missing = join(folder, 'missing');
  const words = ['extract', `--store=${join(folder, 'store')}`, `--seed=${missing}`, index];
  const run = await succeed(runCasync([...words, join(folder, 'output')]));
  t.regex(
    run.stderr.toString(),
    /^Failed to add seed .*missing, ignoring: .*No such file or directory\n$/,
  );
});

test.serial('nothing is left in the folder for temporary files', async (t) => {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  makeEditableTree(tree, randomFrom(1));
  const index = await make(folder, tree, 'sha256');
  const TMPDIR = join(folder, 'scratch');
  mkdirSync(TMPDIR);
  const words = ['extract', `--store=${join(folder, 'store')}`, `--seed=${tree}`, index];
  await succeed(runCasync([...words, join(folder, 'output')], { env: { TMPDIR } }));
  t.deepEqual(readdirSync(TMPDIR), []);
});

/** Rewrites files of a folder at random until it is told to stop. */
const VANDAL = `
  const fs = require('node:fs');
  const path = require('node:path');
  const root = process.argv[1];
  const files = fs.readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const turn = () => {
    for (let i = 0; i < 5; i++) {
      const file = files[Math.floor(Math.random() * files.length)];
      try {
        const choice = Math.random();
        if (choice < 0.3) fs.truncateSync(file, Math.floor(Math.random() * 9000));
        else if (choice < 0.4) fs.rmSync(file);
        else fs.writeFileSync(file, require('node:crypto').randomBytes(Math.floor(Math.random() * 9000)));
      } catch {}
    }
    setImmediate(turn);
  };
  turn();
`;

test.serial(
  'a seed that is rewritten all the time: all is right, or a failure with a name',
  async (t) => {
    const folder = temporaryFolder(t);
    const tree = join(folder, 'tree');
    makeEditableTree(tree, randomFrom(21));
    for (let i = 0; i < 20; i++)
      writeFileSync(join(tree, `large${i}`), randomFrom(i).bytes(300_000));
    const index = await make(folder, tree, 'sha256');
    const store = `--store=${join(folder, 'store')}`;
    const contents = new Map(
      filesBelow(tree).map((path) => [path.slice(tree.length), sha(readFileSync(path))]),
    );
    let goodCount = 0;
    for (let round = 0; round < 6; round++) {
      const seed = join(folder, `seed${round}`);
      await succeed(runCasync(['extract', store, index, seed]));
      const vandal = spawn(process.execPath, ['-e', VANDAL, seed], { stdio: 'ignore' });
      const output = join(folder, `output${round}`);
      const hardlink = round % 2 === 0 ? 'no' : 'yes';
      const words = ['extract', store, `--seed=${seed}`, `--hardlink=${hardlink}`, index, output];
      const run = await runCasync(words);
      vandal.kill('SIGKILL');
      if (run.status !== 0) {
        t.regex(run.stderr.toString(), /^Failed to run synchronizer: \S+: .*: .+$/m);
        continue;
      }
      goodCount += 1;
      // What was linked to a seed is at its mercy afterwards.
      if (hardlink === 'yes') continue;
      for (const [name, digest] of contents) t.is(sha(readFileSync(output + name)), digest, name);
    }
    t.true(goodCount >= 3);
    t.false(existsSync(join(folder, 'none')));
  },
);

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
