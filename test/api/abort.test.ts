/**
 * Work that is aborted in the middle, by a program of its own: it is told so, nothing half-written is
 * left, nothing stays open, and the program ends by itself.
 */
import { execFile } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { extract, make } from '../../lib/index.node.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { PROJECT } from './examples.ts';

const BLOB_LENGTH = 48 * 1024 * 1024;
const FILE_COUNT = 400;
const FILE_LENGTH = 100_000;

interface Scene {
  readonly folder: string;
  readonly path: (name: string) => string;
}

/** A blob and a tree, with their indexes and archive. */
async function prepare(folder: string): Promise<Scene> {
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('blob'), randomFillSync(Buffer.allocUnsafe(BLOB_LENGTH)));
  mkdirSync(path('tree'));
  for (let i = 0; i < FILE_COUNT; i++) {
    const bytes = randomFillSync(Buffer.allocUnsafe(FILE_LENGTH));
    writeFileSync(path(`tree/${i}`), bytes);
  }
  await make({ input: path('blob'), output: path('blob.caibx') });
  await make({ input: path('tree'), output: path('tree.caidx') });
  await make({ input: path('tree'), output: path('tree.catar') });
  return { folder, path };
}

let scene: Scene;

test.serial.before(async () => {
  scene = await prepare(makeTemporaryFolder());
});

test.serial.after.always(() => removeTree(scene.folder));

const PROGRAM = `
  import { readdirSync, readlinkSync } from 'node:fs';
  import * as casync from 'casync';
  const [name, options, small] = JSON.parse(process.argv[1]);
  // What Node opens at the first use of something is not counted.
  await casync.make({ ...small, threadCount: 2 });
  const target = (fd) => {
    try {
      return readlinkSync('/proc/self/fd/' + fd);
    } catch {
      return 'gone';
    }
  };
  // Standard output is opened by the first line that is written to it.
  console.log('ready');
  const before = readdirSync('/proc/self/fd');
  const controller = new AbortController();
  const { signal } = controller;
  let events = 0;
  const onProgress = ({ doneBytes }) => {
    if (doneBytes > 0 && ++events === 3) controller.abort();
  };
  try {
    await casync[name]({ ...options, signal, onProgress, threadCount: 2 });
    console.log('done');
  } catch (error) {
    console.log(error.code);
  }
  const opened = readdirSync('/proc/self/fd').filter((fd) => !before.includes(fd)).map(target);
  console.log(opened.filter((file) => file !== 'gone').join(' '));`;

/** What the program prints. It must end by itself. */
function run(name: string, options: object): Promise<string> {
  const { path } = scene;
  const small = { input: path('tree/1'), output: path('small.caibx') };
  const words = ['--input-type=module', '-e', PROGRAM, JSON.stringify([name, options, small])];
  const env = { ...process.env, NODE_OPTIONS: '' };
  return new Promise((done) => {
    const how = { cwd: PROJECT, env, timeout: 60_000 };
    const child = execFile(process.execPath, words, how, (_, stdout, stderr) =>
      done(`${stdout}${stderr}status ${child.exitCode}`),
    );
  });
}

const ABORTED = 'ready\nABORTED\n\nstatus 0';

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test.serial('make leaves the older output, and no temporary file', async (t) => {
  const { folder, path } = scene;
  const before = readdirSync(folder).sort();
  const cases = [
    { input: path('blob'), output: path('blob.caibx'), store: path('new.castr') },
    { input: path('tree'), output: path('tree.caidx'), store: path('new.castr') },
    { input: path('tree'), output: path('tree.catar') },
  ];
  for (const options of cases) {
    const old = sha256(options.output);
    t.is(await run('make', options), ABORTED, options.output);
    t.is(sha256(options.output), old);
  }
  const after = readdirSync(folder).filter((name) => !['new.castr', 'small.caibx'].includes(name));
  t.deepEqual(after.sort(), before);
  const names = readdirSync(path('new.castr'), { recursive: true, encoding: 'utf8' });
  t.deepEqual(
    names.filter((name) => name.includes('.#') || name.endsWith('.tmp')),
    [],
  );
});

test.serial('extract leaves no blob, and no part of a file in a tree', async (t) => {
  const { path } = scene;
  const blob = { input: path('blob.caibx'), output: path('out') };
  t.is(await run('extract', blob), ABORTED);
  t.false(existsSync(path('out')));
  for (const input of ['tree.caidx', 'tree.catar']) {
    const output = path(`from-${input}`);
    t.is(await run('extract', { input: path(input), output }), ABORTED, input);
    for (const name of existsSync(output) ? readdirSync(output) : []) {
      t.is(sha256(join(output, name)), sha256(path(`tree/${name}`)), name);
    }
    // What was left is no obstacle.
    await extract({ input: path(input), output });
    t.is(readdirSync(output).length, FILE_COUNT);
  }
});

test.serial('digest ends', async (t) => {
  const { path } = scene;
  for (const name of ['blob', 'tree', 'blob.caibx', 'tree.caidx', 'tree.catar']) {
    t.is(await run('digest', { input: path(name) }), ABORTED, name);
  }
});
