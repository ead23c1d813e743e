/** `copy`: indexes and the chunks that another store lacks (spec/remote.md, "copy"). */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { NGINX_NEEDS, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const BLOB = noise(3_000_000);
let made = '';

test.before(async () => {
  made = makeTemporaryFolder();
  fs.writeFileSync(join(made, 'one'), BLOB);
  fs.writeFileSync(join(made, 'two'), Buffer.concat([BLOB, noise(1_000_000, 2)]));
  fs.mkdirSync(join(made, 'tree'));
  fs.writeFileSync(join(made, 'tree/file'), noise(200_000, 3));
  for (const [index, input] of [
    ['one.caibx', 'one'],
    ['two.caibx', 'two'],
    ['tree.caidx', 'tree'],
  ]) {
    await succeed(runCasync(['make', '--store=a.castr', index, input], { cwd: made }));
  }
});
test.after.always(() => removeTree(made));

/** A copy of the example, with a folder `b` for targets. */
function example(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  execFileSync('cp', ['-a', `${made}/.`, folder]);
  fs.mkdirSync(join(folder, 'b'));
  return folder;
}

function run(folder: string, line: string): Promise<RunResult> {
  return runCasync(line.split(' '), { cwd: folder });
}

function chunksIn(store: string): readonly string[] {
  if (!fs.existsSync(store)) return [];
  return fs
    .readdirSync(store, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cacnk'))
    .sort();
}

interface Told {
  readonly copiedChunkCount: number;
  readonly chunkCount: number;
  readonly output: string;
}

function told(result: RunResult): readonly Told[] {
  const lines = result.stdout.toString().split('\n').slice(0, -1);
  return lines.map((line): Told => JSON.parse(line));
}

test('what is copied is byte for byte what was there, and only what is needed', async (t) => {
  const folder = example(t);
  await succeed(run(folder, 'copy --store=a.castr --to=b/b.castr one.caibx'));
  const same = (name: string) =>
    fs.readFileSync(join(folder, name)).equals(fs.readFileSync(join(folder, 'b', name)));
  t.true(same('one.caibx'));
  const all = chunksIn(join(folder, 'a.castr'));
  const copied = chunksIn(join(folder, 'b/b.castr'));
  t.true(copied.length > 10 && copied.length < all.length);
  for (const name of copied) {
    const [a, b] = ['a.castr', 'b/b.castr'].map((at) => fs.readFileSync(join(folder, at, name)));
    t.true(a.equals(b), name);
  }
  await succeed(run(folder, 'extract --store=b/b.castr b/one.caibx out'));
  t.true(fs.readFileSync(join(folder, 'out')).equals(BLOB));
  t.deepEqual(fs.readdirSync(join(folder, 'b')).sort(), ['b.castr', 'one.caibx']);
});

test('a second version costs what is new in it, and a second run nothing', async (t) => {
  const folder = example(t);
  const copy = async (words: string) =>
    told(await succeed(run(folder, `--json copy --store=a.castr --to=b/b.castr ${words}`)));
  const [one] = await copy('one.caibx');
  t.is(one.copiedChunkCount, one.chunkCount);
  const [again, two, tree] = await copy('one.caibx two.caibx tree.caidx');
  t.is(again.copiedChunkCount, 0);
  t.true(two.copiedChunkCount > 5 && two.copiedChunkCount < two.chunkCount / 2);
  t.is(tree.output, 'b/tree.caidx');
  for (const index of ['one.caibx', 'two.caibx', 'tree.caidx']) {
    await succeed(run(folder, `verify --store=b/b.castr b/${index}`));
  }
});

test('an index that lies there already stays, and its chunks are copied', async (t) => {
  const folder = example(t);
  const before = fs.statSync(join(folder, 'one.caibx'));
  await succeed(run(folder, 'copy --store=a.castr --to=c.castr one.caibx'));
  t.is(fs.statSync(join(folder, 'one.caibx')).ino, before.ino);
  await succeed(run(folder, 'verify --store=c.castr one.caibx'));
});

test('chunks come from the first store that has a good one', async (t) => {
  const folder = example(t);
  const store = join(folder, 'a.castr');
  execFileSync('cp', ['-a', store, join(folder, 'good.castr')]);
  const [damaged, missing] = chunksIn(store);
  fs.writeFileSync(join(store, damaged), 'spoiled');
  fs.rmSync(join(store, missing));
  const words = 'copy --store=a.castr --to=b/b.castr one.caibx two.caibx tree.caidx';
  const failing = await run(folder, words);
  t.true([12, 14].includes(failing.status ?? 0), describeRun(failing));
  await succeed(run(folder, `--extra-store=good.castr ${words}`));
  for (const name of [damaged, missing]) {
    const copied = fs.readFileSync(join(folder, 'b/b.castr', name));
    t.true(copied.equals(fs.readFileSync(join(folder, 'good.castr', name))), name);
  }
});

for (const [name, spoil, status] of [
  ['missing', (path: string) => fs.rmSync(path), 12],
  ['damaged', (path: string) => fs.writeFileSync(path, 'spoiled'), 14],
] as const) {
  test(`without a good copy of a chunk that is ${name} no index appears`, async (t) => {
    const folder = example(t);
    const [first, ...others] = await neededBy(folder, 'one.caibx');
    spoil(join(folder, 'a.castr', first));
    const result = await run(folder, 'copy --store=a.castr --to=b/b.castr one.caibx');
    t.is(result.status, status, describeRun(result));
    t.true(result.stderr.includes(first.slice(5, -'.cacnk'.length)), describeRun(result));
    t.false(fs.existsSync(join(folder, 'b/one.caibx')));
    t.false(chunksIn(join(folder, 'b/b.castr')).includes(first));
    t.true(others.length > 0);
  });
}

/** Names of the chunks of an index in its store. */
async function neededBy(folder: string, index: string): Promise<readonly string[]> {
  await succeed(run(folder, `copy --store=a.castr --to=needed.castr ${index}`));
  return chunksIn(join(folder, 'needed.castr'));
}

test('uncompressed chunks of desync become compressed ones', async (t) => {
  const folder = example(t);
  const store = join(folder, 'a.castr');
  const { decodeIndex } = await import('../../formats/index-codec.ts');
  const index = decodeIndex(new Uint8Array(fs.readFileSync(join(folder, 'one.caibx'))));
  for (let i = 0; i < index.count; i++) {
    const path = join(store, index.id(i).slice(0, 4), index.id(i));
    fs.rmSync(`${path}.cacnk`, { force: true });
    fs.writeFileSync(path, BLOB.subarray(index.start(i), index.end(i)));
  }
  await succeed(run(folder, 'copy --store=a.castr --to=b/b.castr one.caibx'));
  t.is(chunksIn(join(folder, 'b/b.castr')).length, index.count);
  await succeed(run(folder, 'verify --store=b/b.castr b/one.caibx'));
});

test('what is interrupted is continued', async (t) => {
  const folder = example(t);
  const [first] = await neededBy(folder, 'two.caibx');
  fs.mkdirSync(join(folder, 'b/b.castr', first, '..'), { recursive: true });
  fs.copyFileSync(join(folder, 'a.castr', first), join(folder, 'b/b.castr', first));
  const line = '--json copy --store=a.castr --to=b/b.castr two.caibx';
  const [two] = told(await succeed(run(folder, line)));
  t.is(two.copiedChunkCount, two.chunkCount - 1);
});

const REFUSED: Readonly<Record<string, RegExp>> = {
  'copy --to=b/b.castr': /^Expected at least one index\.\n$/,
  'copy one.caibx': /^The store to copy to is missing: --to=STORE\.\n$/,
  'copy --to= one.caibx': /^Failed to determine store to copy to: \n$/,
  'copy --to=b/b.castr -': /^Only an index with a name can be copied\.\n$/,
  'copy --to=b/b.castr one.caibx b/one.caibx': /b\/one\.caibx: one\.caibx has the same name\.\n$/,
};

for (const [line, expected] of Object.entries(REFUSED)) {
  test(`refused: casync ${line}`, async (t) => {
    const folder = example(t);
    const result = await run(folder, line);
    t.is(result.status, 1, describeRun(result));
    t.regex(result.stderr.toString(), expected);
    t.deepEqual(fs.readdirSync(join(folder, 'b')), []);
  });
}

test('an index that is none, or is not there, ends the run before anything is copied', async (t) => {
  const folder = example(t);
  fs.writeFileSync(join(folder, 'bad.caibx'), 'nonsense');
  const line = 'copy --store=a.castr --to=b/b.castr one.caibx';
  t.is((await run(folder, `${line} bad.caibx`)).status, 14);
  t.is((await run(folder, `${line} missing.caibx`)).status, 10);
  t.deepEqual(fs.readdirSync(join(folder, 'b')), []);
});

test('over HTTP in both directions: the index beside the store, and nothing twice', async (t) => {
  t.timeout(120_000);
  if (!requirement(t, NGINX_NEEDS)) return;
  const folder = example(t);
  fs.mkdirSync(join(folder, 'served'));
  const nginx = await startNginx({ folder: join(folder, 'served'), isWritable: true });
  t.teardown(() => nginx.stop());
  const up = `--json copy --store=a.castr --to=${nginx.url}/x.castr one.caibx two.caibx`;
  const [one, two] = told(await succeed(run(folder, up)));
  t.is(one.output, `${nginx.url}/one.caibx`);
  // The client may store the first chunk twice, to learn what the server does then.
  const stored = nginx.requests().filter((line) => /^PUT .*\.cacnk 201$/.test(line));
  t.is(stored.length, one.copiedChunkCount + two.copiedChunkCount);
  const down = `--json copy --store=${nginx.url}/x.castr --to=b/b.castr ${nginx.url}/two.caibx`;
  const [back] = told(await succeed(run(folder, down)));
  t.is(back.copiedChunkCount, two.chunkCount);
  await succeed(run(folder, 'verify b/two.caibx two --store=b/b.castr'));
  const [again] = told(await succeed(run(folder, up)));
  t.is(again.copiedChunkCount, 0);
});

test('over ssh in both directions', async (t) => {
  t.timeout(120_000);
  const folder = example(t);
  fs.mkdirSync(join(folder, 'far'));
  const ssh = join(folder, 'ssh');
  fs.writeFileSync(ssh, '#!/bin/sh\nshift\nexec sh -c "$*"\n', { mode: 0o755 });
  const env = { CASYNC_SSH_PATH: ssh, CASYNC_REMOTE_PATH: CASYNC };
  const far = `host:${folder}/far`;
  const copy = (...args: string[]) => succeed(runCasync(['copy', ...args], { cwd: folder, env }));
  await copy('--store=a.castr', `--to=${far}/x.castr`, 'one.caibx', 'tree.caidx');
  await succeed(run(folder, 'verify --store=far/x.castr far/one.caibx one'));
  await succeed(run(folder, 'verify --store=far/x.castr far/tree.caidx tree'));
  t.deepEqual(fs.readdirSync(join(folder, 'far')).sort(), ['one.caibx', 'tree.caidx', 'x.castr']);
  await copy(`--store=${far}/x.castr`, '--to=b/b.castr', `${far}/one.caibx`);
  await succeed(run(folder, 'verify --store=b/b.castr b/one.caibx one'));
});
