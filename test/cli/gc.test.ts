/** `gc` beside the reference, on copies of the same store. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const ZEROS = '0'.repeat(64);

/** Two indexes with a chunk in common and repeated chunks, in one store; and one of another store. */
async function makeOriginal(): Promise<string> {
  const folder = makeTemporaryFolder();
  const shared = noise(300_000, 3);
  fs.writeFileSync(join(folder, 'a'), Buffer.concat([shared, Buffer.alloc(2_000_000)]));
  fs.writeFileSync(join(folder, 'b'), Buffer.concat([shared, noise(400_000, 5)]));
  for (const name of ['a', 'b']) {
    const store = name === 'b' ? ['--store=default.castr'] : [];
    await succeed(runCasync([...store, 'make', `${name}.caibx`, name], { cwd: folder }));
  }
  await succeed(runCasync(['--store=other.castr', 'make', 'other.caibx', 'b'], { cwd: folder }));
  return folder;
}

let original: string | undefined;

test.before(async () => {
  original = await makeOriginal();
});

test.after.always(() => {
  if (original !== undefined) removeTree(original);
});

async function prepare(t: ExecutionContext): Promise<string> {
  return copy(original ?? '', t);
}

function copy(folder: string, t: ExecutionContext): string {
  const target = join(temporaryFolder(t), 'copy');
  execFileSync('cp', ['-a', folder, target]);
  return target;
}

function filesOf(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

function lines(text: Buffer): readonly string[] {
  return text.toString().split('\n').sort();
}

/** What both say and leave; the order of the lines is that of the folder. */
async function both(
  t: ExecutionContext,
  folder: string,
  args: readonly string[],
): Promise<readonly [RunResult, RunResult]> {
  const [one, two] = [copy(folder, t), copy(folder, t)];
  const env = { CASYNC_STORE: undefined };
  const ours = await runCasync(args, { cwd: one, env });
  const reference = await runReference(args, { cwd: two, env });
  t.deepEqual(lines(ours.stdout), lines(reference.stdout), args.join(' '));
  t.deepEqual(filesOf(one), filesOf(two), args.join(' '));
  return [ours, reference];
}

const CALLS: readonly (readonly string[])[] = [
  ['gc', 'a.caibx'],
  ['gc', '-v', 'a.caibx'],
  ['gc', '-n', 'a.caibx'],
  ['gc', '-n', '-v', 'a.caibx'],
  ['gc', '-v', 'b.caibx'],
  ['gc', '-v', 'a.caibx', 'b.caibx'],
  ['gc', '-v', 'a.caibx', 'a.caibx'],
  ['gc', '-nv', '--store=other.castr', 'a.caibx'],
  ['gc', '-v', '--store', 'default.castr', 'other.caibx', 'a.caibx'],
];

for (const args of CALLS) {
  test(`${args.join(' ')}: says and removes what the reference does`, async (t) => {
    if (!requirement(t, { commands: ['casync'] })) return;
    const [ours, reference] = await both(t, await prepare(t), args);
    t.is(ours.status, 0);
    t.is(ours.stderr.toString(), reference.stderr.toString());
    t.is(ours.stderr.toString(), '');
  });
}

test('what is named strangely in a folder of chunks is dealt with as by the reference', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = await prepare(t);
  const shard = join(folder, 'default.castr', fs.readdirSync(join(folder, 'default.castr'))[0]);
  for (const name of ['x.cacnk', 'foo.bar.cacnk', `${ZEROS}.cacnk`, `${ZEROS}.more.cacnk`]) {
    fs.writeFileSync(join(shard, name), '');
  }
  for (const name of [ZEROS, `${ZEROS}.1f.tmp`, 'README']) fs.writeFileSync(join(shard, name), '');
  fs.symlinkSync('nowhere', join(shard, `1${ZEROS.slice(1)}.cacnk`));
  const [ours, reference] = await both(t, folder, ['gc', '-v', 'a.caibx']);
  t.is(ours.status, 0);
  // There it is said without -v, too, where programs would take it for a failure.
  t.deepEqual(lines(ours.stderr), lines(reference.stderr));
  const quiet = await runCasync(['gc', '-n', 'a.caibx'], { cwd: folder });
  t.is(quiet.stderr.toString(), '');
});

test('the store is the named one, else that of the environment, else that of the first index', async (t) => {
  const folder = await prepare(t);
  fs.mkdirSync(join(folder, 'sub'));
  fs.renameSync(join(folder, 'other.caibx'), join(folder, 'sub/other.caibx'));
  fs.renameSync(join(folder, 'other.castr'), join(folder, 'sub/default.castr'));
  const count = async (args: readonly string[], store?: string): Promise<string> => {
    const env = { CASYNC_STORE: store };
    const { stdout } = await succeed(runCasync(['gc', '-n', ...args], { cwd: folder, env }));
    return stdout.toString();
  };
  const [both, one] = [
    ['a.caibx', 'sub/other.caibx'],
    ['sub/other.caibx', 'a.caibx'],
  ];
  const default1 = fs.readdirSync(join(folder, 'default.castr')).length;
  const default2 = fs.readdirSync(join(folder, 'sub/default.castr')).length;
  t.is(await count(both), `Would remove 0 chunks, ${default1} chunks remaining.\n`);
  t.is(await count(one), `Would remove 0 chunks, ${default2} chunks remaining.\n`);
  t.is(await count(both, 'sub/default.castr'), await count(one));
  t.is(await count([...one, '--store=default.castr'], 'sub/default.castr'), await count(both));
});

const FAILURES: readonly {
  readonly args: readonly string[];
  readonly status: number;
  readonly message: RegExp;
}[] = [
  { args: ['gc'], status: 1, message: /^Expected at least one argument\.\n$/ },
  {
    args: ['gc', 'a.caibx', 'nope.caibx'],
    status: 10,
    message: /^Failed to open index "nope\.caibx": No such file or directory\n$/,
  },
  { args: ['gc', 'a'], status: 14, message: /^Failed to open index "a": .+\n$/ },
  {
    args: ['gc', '--store=nope.castr', 'a.caibx'],
    status: 10,
    message: /^Chunk cleanup failed: nope\.castr: No such file or directory\n$/,
  },
  {
    args: ['gc', '--store=http://x/y.castr', 'a.caibx'],
    status: 1,
    message: /http:\/\/x\/y\.castr: The chunks of such a store cannot be listed/,
  },
];

for (const { args, status, message } of FAILURES) {
  test(`${args.join(' ')} fails, and removes nothing`, async (t) => {
    const folder = await prepare(t);
    const before = filesOf(folder);
    const result = await runCasync(args, { cwd: folder });
    t.is(result.status, status);
    t.regex(result.stderr.toString(), message);
    t.is(result.stdout.toString(), '');
    t.deepEqual(filesOf(folder), before);
  });
}

test('a plain file in the store is no hindrance, and nothing beside the store is touched', async (t) => {
  const folder = await prepare(t);
  const strays = ['README', `${ZEROS}.cacnk`].map((name) => join(folder, 'default.castr', name));
  for (const path of [...strays, join(folder, `${ZEROS}.cacnk`)]) fs.writeFileSync(path, '');
  const { stdout } = await succeed(runCasync(['gc', '-v', 'a.caibx'], { cwd: folder }));
  t.regex(stdout.toString(), /Removed \d+ chunks, \d+ directories, \d+ chunks remaining\.\n$/);
  for (const path of [...strays, join(folder, `${ZEROS}.cacnk`)]) t.true(fs.existsSync(path));
});

test('a store in which a lease lies works with the reference', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = await prepare(t);
  const lease = join(folder, 'default.castr/leases/0123456789abcdef.shared');
  fs.mkdirSync(join(folder, 'default.castr/leases'));
  fs.writeFileSync(lease, '{}');
  const digest = ['--digest=sha256'];
  fs.writeFileSync(join(folder, 'c'), noise(100_000, 9));
  await succeed(runReference([...digest, 'make', 'c.caibx', 'c'], { cwd: folder }));
  await succeed(runReference(['gc', '-v', 'a.caibx', 'c.caibx'], { cwd: folder }));
  for (const name of ['a', 'c']) {
    await succeed(runReference(['extract', `${name}.caibx`, `${name}.out`], { cwd: folder }));
    const [content, output] = [name, `${name}.out`].map((file) =>
      fs.readFileSync(join(folder, file)),
    );
    t.true(content.equals(output), name);
  }
  t.true(fs.existsSync(lease));
});

test('make and gc after each other remove what the reference removes', async (t) => {
  const folder = await prepare(t);
  await succeed(runCasync(['make', 'c.caibx', 'b', '--chunk-size=8K'], { cwd: folder }));
  const { stdout } = await succeed(runCasync(['gc', '-n', 'a.caibx', 'b.caibx'], { cwd: folder }));
  t.notRegex(stdout.toString(), /^Would remove 0 /);
});

test('--json gives the result as one object', async (t) => {
  const folder = await prepare(t);
  const { stdout } = await succeed(
    runCasync(['gc', '--json', '-n', 'a.caibx', 'b.caibx'], { cwd: folder }),
  );
  const { removedCount, remainingCount } = JSON.parse(stdout.toString());
  t.deepEqual([removedCount, remainingCount > 0], [0, true]);
});
