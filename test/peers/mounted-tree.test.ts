// Mounted archives beside the same ones extracted by the original, seen by the usual programs.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { GOLDEN } from '../helpers/golden.ts';
import { loopMount, loopMountNeeds } from '../helpers/loop-mount.ts';
import { MOUNT_NEEDS, readWith, startMount } from '../helpers/mounted.ts';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';
import {
  diffTrees,
  type TreeViewOptions,
  VIEW_NEEDS,
  viewDifferences,
  viewTree,
} from '../helpers/tree-views.ts';

function canRun(t: ExecutionContext): boolean {
  const commands = [...(MOUNT_NEEDS.commands ?? []), ...(VIEW_NEEDS.commands ?? []), 'casync'];
  return requirement(t, { ...MOUNT_NEEDS, commands });
}

type Program = (args: readonly string[], options?: { cwd?: string }) => Promise<RunResult>;
const PROGRAMS: Readonly<Record<string, Program>> = { ours: runCasync, theirs: runReference };

/** `ours.caidx`, `ours.catar`, `theirs.caidx` and `theirs.catar` of a tree, the same with the same store. */
async function makeWithBoth(
  t: ExecutionContext,
  folder: string,
  tree: string,
  options: readonly string[] = [],
): Promise<void> {
  for (const ending of ['caidx', 'catar']) {
    const made = await Promise.all(
      Object.entries(PROGRAMS).map(async ([name, run]) => {
        const words = [
          'make',
          '--digest=sha256',
          `--store=${name}.castr`,
          ...options,
          `${name}.${ending}`,
          tree,
        ];
        await succeed(run(words, { cwd: folder }));
        return readFileSync(join(folder, `${name}.${ending}`));
      }),
    );
    t.true(made[0].equals(made[1]), `both make the same ${ending}`);
  }
}

/** A mount of each input shows what the extracted tree shows, and can be copied. */
async function assertSameAsExtracted(
  t: ExecutionContext,
  extracted: string,
  inputs: readonly (readonly string[])[],
  options: TreeViewOptions = {},
): Promise<void> {
  const expected = await viewTree(extracted, options);
  for (const words of inputs) {
    const input = words.at(-1);
    const mount = await startMount(t, words);
    const { mountPoint } = mount;
    t.deepEqual(viewDifferences(expected, await viewTree(mountPoint, options)), [], input);
    t.is(await diffTrees(extracted, mountPoint), '', input);
    t.deepEqual(compareTrees(extracted, mountPoint), [], input);
    const folder = temporaryFolder(t);
    await readWith('cp', ['-a', mountPoint, join(folder, 'copy')]);
    t.deepEqual(compareTrees(extracted, join(folder, 'copy'), { flags: false }), [], input);
    const end = await mount.stop();
    t.is(end.status, 0);
    t.regex(end.stderr, /^(The following feature flags are not exposed .*\n)?$/);
  }
}

for (const name of ['tree/default', 'chattr/with-chattr']) {
  test.serial(`${name}: as the original extracts it, and made anew by both`, async (t) => {
    if (!canRun(t) || !requirement(t, loopMountNeeds('ext4'))) return;
    const folder = loopMount(t, 'ext4');
    const archive = join(GOLDEN, `${name}.catar`);
    const extracted = join(folder, 'x');
    await succeed(runReference(['extract', '--seed-output=no', archive, extracted]));
    try {
      await makeWithBoth(t, folder, extracted, ['--exclude-nodump=no']);
      const inputs = ['ours.caidx', 'theirs.catar'].map((made) => join(folder, made));
      // The other one lacks owners and modes, which extraction makes up.
      const first = name === 'tree/default' ? [[archive]] : [];
      await assertSameAsExtracted(
        t,
        extracted,
        [...first, [`--store=${join(folder, 'ours.castr')}`, inputs[0]], [inputs[1]]],
        // Its attributes have another order on ext4.
        { notInTar: ['./xattrs'] },
      );
    } finally {
      spawnSync('chattr', ['-R', '-f', '-i', '-a', extracted]);
    }
  });
}

const MOST_ENTRIES = 5000;
const MOST_OF_ONE = 2000;
const MOST_BYTES = 16 * 2 ** 20;

/** Folders of /usr/share, in the order of their names, until they have about 5000 entries. */
function copyOfShare(folder: string): string {
  const tree = join(folder, 'share');
  mkdirSync(tree);
  let entries = 0;
  for (const name of readdirSync('/usr/share').sort()) {
    const source = join('/usr/share', name);
    const [count, bytes] = ['--inodes', '--bytes'].map((what) =>
      Number.parseInt(execFileSync('du', ['-s', what, source], { encoding: 'latin1' }), 10),
    );
    if (count > MOST_OF_ONE || bytes > MOST_BYTES || entries + count > MOST_ENTRIES) continue;
    execFileSync('cp', ['-a', source, tree]);
    entries += count;
  }
  return tree;
}

test.serial('a part of /usr/share: as the original extracts it', async (t) => {
  if (!canRun(t)) return;
  const folder = temporaryFolder(t);
  const tree = copyOfShare(folder);
  await makeWithBoth(t, folder, tree);
  const theirs = join(folder, 'theirs.caidx');
  const store = `--store=${join(folder, 'theirs.castr')}`;
  const extracted = join(folder, 'x');
  await succeed(runReference(['extract', '--seed-output=no', store, theirs, extracted]));
  const count = readdirSync(extracted, { recursive: true }).length;
  t.log(`${count} entries`);
  t.true(count > 1000);
  await assertSameAsExtracted(t, extracted, [[store, theirs], [join(folder, 'ours.catar')]]);
});

test.serial('a mount has the digest of its index, and makes the same archive again', async (t) => {
  if (!canRun(t)) return;
  const folder = temporaryFolder(t);
  const tree = copyOfShare(folder);
  await makeWithBoth(t, folder, tree, ['--with=fuse']);
  const cwd = { cwd: folder };
  const store = '--store=ours.castr';
  const expected = (
    await succeed(runCasync(['digest', store, 'ours.caidx'], cwd))
  ).stdout.toString();
  t.regex(expected, /^[0-9a-f]{64}\n$/);
  const mount = await startMount(t, [store, 'ours.caidx'], cwd);
  t.is(mount.stderr(), '');
  for (const [name, run] of Object.entries(PROGRAMS)) {
    const words = ['--digest=sha256', 'digest', '--with=fuse', mount.mountPoint];
    t.is((await succeed(run(words))).stdout.toString(), expected, name);
    for (const ending of ['catar', 'caidx']) {
      const again = `again-${name}.${ending}`;
      await succeed(run(['--digest=sha256', 'make', '--with=fuse', again, mount.mountPoint], cwd));
      const bytes = readFileSync(join(folder, again));
      t.true(bytes.equals(readFileSync(join(folder, `ours.${ending}`))), again);
    }
  }
  t.is((await mount.stop()).status, 0);
});
