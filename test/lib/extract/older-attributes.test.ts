/** Attributes of entries that are there already and differ (spec/formats/extraction.md). */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  openSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { testEveryWay } from '../../helpers/every-way.ts';
import { identitiesOf } from '../../helpers/identities.ts';
import { olderTree, SIZES } from '../../helpers/older-tree.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { snapshotDifferences, snapshotTree } from '../../helpers/tree-snapshot.ts';
import { directory, file, forgeArchive } from '../../hostile/forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = { mask: 0x13aebb20n };
const ATTRIBUTES = { root: true, commands: ['setfacl', 'setfattr', 'setcap', 'chattr'] } as const;

function run(command: string, ...words: readonly string[]): void {
  execFileSync(command, words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Changes of one attribute. What is said of files holds for those with content, too. */
const CHANGES: Readonly<Record<string, readonly (readonly [string, (path: string) => void])[]>> = {
  file: [
    ['owner', (path) => chownSync(path, 1, 0)],
    ['group', (path) => chownSync(path, 0, 5)],
    ['mode', (path) => chmodSync(path, 0o600)],
    ['special bits', (path) => chmodSync(path, 0o4644)],
    ['time', (path) => utimesSync(path, 1, 1)],
    ['another attribute', (path) => run('setfattr', '-n', 'user.more', '-v', 'x', path)],
    ['an ACL', (path) => run('setfacl', '-m', 'u:1:r', path)],
    ['an ACL with more rights', (path) => run('setfacl', '-m', 'u:1:rwx', path)],
    ['capabilities', (path) => run('setcap', 'cap_net_raw+ep', path)],
    ['a chattr flag', (path) => run('chattr', '+S', path)],
  ],
  dir: [
    ['owner', (path) => chownSync(path, 1, 1)],
    ['mode', (path) => chmodSync(path, 0o1700)],
    ['time', (path) => utimesSync(path, 1, 1)],
    ['another attribute', (path) => run('setfattr', '-n', 'user.more', '-v', 'x', path)],
    ['an ACL', (path) => run('setfacl', '-m', 'u:1:rwx', path)],
    ['a default ACL', (path) => run('setfacl', '-d', '-m', 'u:1:rwx', path)],
    ['a chattr flag', (path) => run('chattr', '+S', path)],
  ],
  fifo: [
    ['owner', (path) => chownSync(path, 1, 1)],
    ['mode', (path) => chmodSync(path, 0o600)],
    ['time', (path) => utimesSync(path, 1, 1)],
  ],
  link: [
    ['owner', (path) => lchownSync(path, 1, 1)],
    ['time', (path) => lutimesSync(path, 1, 1)],
  ],
};

/** Extracts, changes, extracts again and compares with a fresh tree. @returns the inode before and after */
async function corrected(
  t: ExecutionContext,
  { extractArchive }: { readonly extractArchive: (a: Uint8Array, b: string) => Promise<void> },
  name: string,
  change: (path: string, folder: string) => void,
): Promise<{ readonly before: bigint; readonly after: bigint; readonly others: boolean }> {
  const folder = temporaryFolder(t);
  const [target, fresh] = [join(folder, 'target'), join(folder, 'fresh')];
  const archive = forgeArchive(olderTree());
  await extractArchive(archive, target);
  await extractArchive(archive, fresh);
  const path = join(target, name);
  change(path, folder);
  const identities = identitiesOf(target);
  const before = lstatSync(path, { bigint: true }).ino;
  await extractArchive(archive, target);
  t.deepEqual(snapshotDifferences(snapshotTree(fresh), snapshotTree(target)), []);
  const others = Object.entries(identitiesOf(target)).every(([other, identity]) => {
    return other === name || other === '.' || identity === identities[other];
  });
  return { before, after: lstatSync(path, { bigint: true }).ino, others };
}

for (const [kind, changes] of Object.entries(CHANGES)) {
  const names = kind === 'file' ? Object.keys(SIZES) : [kind];
  for (const [what, change] of changes) {
    testEveryWay(`one attribute is changed where it is: ${kind}, ${what}`, async (t, way) => {
      if (!requirement(t, ATTRIBUTES)) return;
      for (const name of names) {
        const { before, after, others } = await corrected(t, way, name, change);
        t.is(after, before, name);
        t.true(others, name);
      }
    });
  }
}

for (const [what, change] of [
  [
    'it has another name',
    (path, folder) => {
      linkSync(path, join(folder, 'outside'));
      chmodSync(path, 0o600);
    },
  ],
  [
    'two attributes give rights',
    (path) => {
      chownSync(path, 1, 1);
      chmodSync(path, 0o600);
    },
  ],
  [
    'special bits would be lost with the owner',
    (path) => {
      chownSync(path, 1, 1);
      chmodSync(path, 0o4644);
    },
  ],
  ['a flag must be there before the content', (path) => run('chattr', '+A', path)],
] as const satisfies readonly (readonly [string, (path: string, folder: string) => void])[]) {
  testEveryWay(`a file is replaced although only attributes differ: ${what}`, async (t, way) => {
    if (!requirement(t, ATTRIBUTES)) return;
    for (const name of Object.keys(SIZES)) {
      const { before, after } = await corrected(t, way, name, change);
      t.not(after, before, name);
    }
  });
}

testEveryWay(
  'another name of a file keeps the attributes it has',
  async (t, { extractArchive }) => {
    const folder = temporaryFolder(t);
    const target = join(folder, 'target');
    const archive = forgeArchive(olderTree());
    await extractArchive(archive, target, UNPRIVILEGED);
    for (const name of Object.keys(SIZES)) {
      linkSync(join(target, name), join(folder, name));
      chmodSync(join(folder, name), 0o600);
    }
    const before = snapshotTree(folder);
    await extractArchive(archive, target, UNPRIVILEGED);
    for (const name of Object.keys(SIZES)) {
      t.is(snapshotTree(folder).get(name), before.get(name));
      t.is(statSync(join(target, name)).mode & 0o7777, 0o644);
    }
  },
);

testEveryWay(
  'in a directory that others may write to, nothing is changed where it is',
  async (t, { extractArchive }) => {
    const target = temporaryFolder(t);
    const archive = forgeArchive(directory([['x', file('x')]], { entry: { mode: 0o040777 } }));
    await extractArchive(archive, target, UNPRIVILEGED);
    const before = identitiesOf(target);
    await extractArchive(archive, target, UNPRIVILEGED);
    t.deepEqual(identitiesOf(target), before);
    chmodSync(join(target, 'x'), 0o600);
    const held = openSync(join(target, 'x'), 'r');
    await extractArchive(archive, target, UNPRIVILEGED);
    t.is(statSync(join(target, 'x')).mode & 0o777, 0o644);
    t.not(lstatSync(join(target, 'x'), { bigint: true }).ino, BigInt(before.x.split(' ')[0]));
    closeSync(held);
  },
);
