/** `clone`: a folder becomes equal to another one (lib/api/clone.node.ts). */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type CloneOptions, clone } from '../../../lib/api/clone.node.ts';
import { digest } from '../../../lib/api/digest.node.ts';
import { extractArchive } from '../../helpers/extract-tree.ts';
import { golden, noise } from '../../helpers/golden.ts';
import { identitiesOf } from '../../helpers/identities.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree-snapshot.ts';
import { randomFrom } from '../../property/random.ts';
import { makeRandomTree, randomTreeOptions } from '../../property/trees.ts';

/** What anybody may do. */
const UNPRIVILEGED = { withoutFeatures: ['privileged'] } as const;

interface Places {
  readonly source: string;
  readonly target: string;
}

function places(t: ExecutionContext): Places {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'source'));
  return { source: join(folder, 'source'), target: join(folder, 'target') };
}

for (const threadCount of [0, 2]) {
  test(`all kinds of entries and attributes are cloned (${threadCount} threads)`, async (t) => {
    if (!requirement(t, { root: true })) return;
    const { source, target } = places(t);
    for (const name of ['tree/default', 'chattr/default', 'mini/acl-dir']) {
      await extractArchive(golden(`${name}.catar`), join(source, name.replace('/', '-')));
    }
    const many = join(source, 'many');
    mkdirSync(many);
    for (let i = 0; i < 2500; i++) writeFileSync(join(many, `f${i}`), `content ${i}`);
    await clone({ source, target, threadCount });
    t.deepEqual(compareTrees(source, target), []);
    const before = identitiesOf(target);
    const { statistics, isComplete } = await clone({ source, target, threadCount });
    t.deepEqual(identitiesOf(target), before);
    t.true(isComplete);
    t.is(statistics.keptBytes, statistics.byteCount);
  });
}

for (let seed = 1; seed <= 6; seed++) {
  test(`random trees are cloned, one over another, seed ${seed}`, async (t) => {
    if (!requirement(t, { root: true })) return;
    const folder = temporaryFolder(t);
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    const random = randomFrom(9000 + seed);
    const common = { excludeRate: 0, immutable: false };
    makeRandomTree(source, random.fork(1), { ...randomTreeOptions(random.fork(2)), ...common });
    makeRandomTree(target, random.fork(3), { ...randomTreeOptions(random.fork(4)), ...common });
    // The chattr flag `d` leaves entries out.
    const options = { source, target, excludeNodump: false };
    await clone(options);
    // Archives have no extended attributes of devices, fifos and sockets.
    t.deepEqual(compareTrees(source, target, { xattrs: false }), []);
    const digestOf = (input: string) => digest({ input, excludeNodump: false });
    t.deepEqual(await digestOf(target), await digestOf(source));
    const before = identitiesOf(target);
    await clone(options);
    t.deepEqual(identitiesOf(target), before);
  });
}

test('only what differs is written', async (t) => {
  const { source, target } = places(t);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), noise(300_000));
  await clone({ source, target, ...UNPRIVILEGED });
  const before = identitiesOf(target);
  appendFileSync(join(source, 'b'), 'more');
  chmodSync(join(source, 'c'), 0o600);
  await clone({ source, target, ...UNPRIVILEGED });
  t.deepEqual(compareTrees(source, target), []);
  const after = identitiesOf(target);
  t.is(after.a, before.a);
  const inode = (identity: string) => identity.split(' ')[0];
  t.not(inode(after.b), inode(before.b));
  t.is(inode(after.c), inode(before.c));
});

test('names of one file become files of their own', async (t) => {
  const { source, target } = places(t);
  writeFileSync(join(source, 'a'), noise(10_000));
  linkSync(join(source, 'a'), join(source, 'b'));
  await clone({ source, target, ...UNPRIVILEGED });
  t.deepEqual(compareTrees(source, target), []);
  t.is(statSync(join(target, 'a')).nlink, 1);
  t.not(statSync(join(target, 'a')).ino, statSync(join(target, 'b')).ino);
});

test('holes stay holes, and data between them is found', async (t) => {
  const { source, target } = places(t);
  const path = join(source, 'sparse');
  writeFileSync(path, noise(5000));
  truncateSync(path, 300_000_000);
  appendFileSync(path, noise(5000));
  truncateSync(path, 500_000_000);
  for (let round = 0; round < 2; round++) {
    await clone({ source, target, ...UNPRIVILEGED });
    t.true(readFileSync(join(target, 'sparse')).equals(readFileSync(path)));
    t.true(statSync(join(target, 'sparse')).blocks * 512 < 1_000_000);
  }
});

test('with zeros in the place of older data the result is right', async (t) => {
  const { source, target } = places(t);
  writeFileSync(join(source, 'x'), '');
  truncateSync(join(source, 'x'), 3_000_000);
  mkdirSync(target);
  writeFileSync(join(target, 'x'), noise(3_000_000));
  await clone({ source, target, ...UNPRIVILEGED });
  t.true(readFileSync(join(target, 'x')).equals(Buffer.alloc(3_000_000)));
});

test('what the source lacks is removed, unless it is to stay', async (t) => {
  const { source, target } = places(t);
  mkdirSync(join(target, 'extra'), { recursive: true });
  await clone({ source, target, delete: false, ...UNPRIVILEGED });
  t.deepEqual(readdirSync(target), ['extra']);
  await clone({ source, target, ...UNPRIVILEGED });
  t.deepEqual(readdirSync(target), []);
});

test('what `make` would leave out is left out', async (t) => {
  const { source, target } = places(t);
  writeFileSync(join(source, '.caexclude'), '*.tmp\n');
  writeFileSync(join(source, 'x.tmp'), 'x');
  symlinkSync('x', join(source, 'link'));
  await clone({ source, target, features: ['permissions', 'nsec-time'] });
  t.deepEqual(readdirSync(target), ['.caexclude']);
  await clone({ source, target, excludeFile: false, ...UNPRIVILEGED });
  t.deepEqual(readdirSync(target).sort(), ['.caexclude', 'link', 'x.tmp']);
});

test('owners are shifted into the range', async (t) => {
  if (!requirement(t, { root: true })) return;
  const { source, target } = places(t);
  writeFileSync(join(source, 'x'), 'x');
  execFileSync('chown', ['5:70000', join(source, 'x')]);
  const options = { source, target, uidShift: { shift: 1_000_000, range: 65_536 } };
  await clone(options);
  const { uid, gid } = statSync(join(target, 'x'));
  t.deepEqual([uid, gid], [1_000_005, 1_000_000 + 70_000 - 65_536]);
  const before = identitiesOf(target);
  await clone(options);
  t.deepEqual(identitiesOf(target), before);
});

test('a folder is not cloned into itself, nor over what it is in', async (t) => {
  const { source, target } = places(t);
  mkdirSync(join(source, 'inner'));
  symlinkSync(source, target);
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [source, source, /same directory/],
    [source, target, /same directory/],
    [source, join(source, 'new'), /inside of the source/],
    [source, join(target, 'inner/new'), /inside of the source/],
    [join(source, 'inner'), source, /inside of the target/],
    [join(target, 'inner'), target, /inside of the target/],
  ];
  for (const [from, to, message] of cases) {
    const error = await t.throwsAsync(clone({ source: from, target: to }), { message });
    t.like(error, { code: 'USAGE' });
  }
  t.deepEqual(readdirSync(source), ['inner']);
});

test('nothing is made for a source that is not there, or is no folder', async (t) => {
  const { source, target } = places(t);
  writeFileSync(join(source, 'file'), 'x');
  for (const name of ['missing', 'file']) {
    const error = await t.throwsAsync(clone({ source: join(source, name), target }));
    t.like(error, { subject: join(source, name) });
  }
  t.false(existsSync(target));
});

/** Clones, and changes the source when a file is begun. */
async function disturbed(
  t: ExecutionContext,
  change: (path: string) => void,
): Promise<{ readonly reports: readonly string[]; readonly result: Promise<unknown> }> {
  const { source, target } = places(t);
  writeFileSync(join(source, 'x'), noise(3_000_000));
  const reports: string[] = [];
  const options: CloneOptions = {
    source,
    target,
    ...UNPRIVILEGED,
    onEntry: (path, stage) => {
      if (stage === 'begin' && path.length > 0) change(join(source, 'x'));
    },
    onIncomplete: (label, reason) => reports.push(`${label.slice(source.length)} ${reason}`),
  };
  const result = clone(options);
  await result.catch(() => {});
  return { reports, result };
}

test('a file that changes while it is read is reported', async (t) => {
  const { reports, result } = await disturbed(t, (path) => appendFileSync(path, 'more'));
  t.deepEqual(reports, ['/x file changed while it was read']);
  t.like(await result, { isComplete: false });
});

test('a file that gets shorter while it is read ends the work', async (t) => {
  const { result } = await disturbed(t, (path) => truncateSync(path, 1000));
  t.like(await t.throwsAsync(result), { code: 'SOURCE_CHANGED', step: 'read' });
});

test('whoever stops it leaves old or new files', async (t) => {
  const { source, target } = places(t);
  for (let i = 0; i < 20; i++) writeFileSync(join(source, `f${i + 10}`), noise(200_000));
  await clone({ source, target, ...UNPRIVILEGED });
  const before = snapshotTree(target);
  for (let i = 0; i < 20; i++) appendFileSync(join(source, `f${i + 10}`), 'more');
  const controller = new AbortController();
  const error = await t.throwsAsync(
    clone({
      source,
      target,
      ...UNPRIVILEGED,
      signal: controller.signal,
      onProgress: ({ doneBytes }) => {
        if (doneBytes > 2_000_000) controller.abort();
      },
    }),
  );
  t.like(error, { code: 'ABORTED' });
  const fresh = snapshotTree(source);
  for (const [path, node] of snapshotTree(target)) {
    if (path !== '.') t.true(node === before.get(path) || node === fresh.get(path), path);
  }
});
