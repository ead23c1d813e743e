/** The trees of the original, extracted: the archive made of the result must be the same bytes. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { golden } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { snapshotDifferences, snapshotTree } from '../../helpers/tree-snapshot.ts';

const EXT = 0xef53;
const NEEDS = { root: true, commands: ['casync'] } as const;

/** Archive of a folder, made by the original. */
function archiveOf(folder: string, ...options: readonly string[]): Buffer {
  const output = `${folder}.check.catar`;
  execFileSync('casync', ['make', '--digest=sha512-256', ...options, output, folder]);
  return readFileSync(output);
}

/** A folder on a file system with chattr flags. */
function flaggableFolder(t: ExecutionContext): string | undefined {
  const folder = temporaryFolder(t);
  const conditions = { 'temporary files on ext4': statfsSync(folder).type === EXT };
  return requirement(t, { ...NEEDS, conditions }) ? folder : undefined;
}

testEveryWay(
  'the tree with everything comes back exactly, also over itself',
  async (t, { extractArchive }) => {
    if (!requirement(t, NEEDS)) return;
    const target = join(temporaryFolder(t), 'tree');
    const archive = golden('tree/default.catar');
    await extractArchive(archive, target);
    t.true(archiveOf(target).equals(archive));
    const before = snapshotTree(target);
    await extractArchive(archive, target);
    t.deepEqual(snapshotDifferences(before, snapshotTree(target)), []);
    t.true(archiveOf(target).equals(archive));
  },
);

for (const [file, ...options] of [
  ['mini/emptydir.catar'],
  ['mini/many.catar'],
  ['mini/acl-dir.catar'],
  ['mini/dir.catar'],
  ['mini/dir-unix.catar', '--with=unix'],
  ['mini/dir-none.catar', '--without=all'],
] as const) {
  testEveryWay(`${file} comes back exactly`, async (t, { extractArchive }) => {
    if (!requirement(t, NEEDS)) return;
    const target = join(temporaryFolder(t), 'tree');
    await extractArchive(golden(file), target);
    t.true(archiveOf(target, ...options).equals(golden(file)));
  });
}

for (const [file, ...options] of [
  ['chattr/default.catar'],
  ['chattr/nodump-included.catar', '--exclude-nodump=no'],
  ['chattr/with-chattr.catar', '--exclude-nodump=no', '--with=chattr'],
] as const) {
  testEveryWay(`${file} comes back exactly`, async (t, { extractArchive }) => {
    const folder = flaggableFolder(t);
    if (folder === undefined) return;
    const target = join(folder, 'tree');
    await extractArchive(golden(file), target);
    t.true(archiveOf(target, ...options).equals(golden(file)));
  });
}

testEveryWay('immutable entries are replaced only on request', async (t, { extractArchive }) => {
  const folder = flaggableFolder(t);
  if (folder === undefined) return;
  const target = join(folder, 'tree');
  const archive = golden('chattr/default.catar');
  await extractArchive(archive, target);
  // What is right already need not be replaced.
  await extractArchive(archive, target);
  const flagged = join(target, 'immutable');
  execFileSync('chattr', ['-i', flagged]);
  appendFileSync(flagged, 'more');
  execFileSync('chattr', ['+i', flagged]);
  const error = await t.throwsAsync(extractArchive(archive, target));
  t.like(error, { code: 'DENIED', subject: flagged });
  t.regex(String(error?.message), /immutable.*--undo-immutable=yes/);
  await extractArchive(archive, target, { undoImmutable: true });
  t.true(archiveOf(target).equals(archive));
});

testEveryWay(
  'immutable directories are changed and emptied only on request',
  async (t, { extractArchive }) => {
    const folder = flaggableFolder(t);
    if (folder === undefined) return;
    const target = join(folder, 'tree');
    const archive = golden('mini/dir.catar');
    await extractArchive(archive, target);
    execFileSync('mkdir', ['-p', join(target, 'extra/deeper')]);
    execFileSync('touch', [join(target, 'extra/deeper/file')]);
    const flagged = ['sub', 'extra', 'extra/deeper', 'extra/deeper/file'];
    execFileSync('chattr', ['+i', ...flagged.map((name) => join(target, name))]);
    await t.throwsAsync(extractArchive(archive, target), { message: /immutable/ });
    await extractArchive(archive, target, { undoImmutable: true });
    t.true(archiveOf(target).equals(archive));
  },
);

/** Runs the extraction of a golden archive as `nobody`. */
function extractAsNobody(archive: string, target: string, mask: bigint): void {
  const program = `
    import { extractArchive } from './test/helpers/extract-tree.ts';
    import { golden } from './test/helpers/golden.ts';
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    try {
      await extractArchive(golden('${archive}'), '${target}', { mask: ${mask}n });
    } catch (error) {
      console.error(String(error));
      process.exit(1);
    }`;
  const project = join(import.meta.dirname, '../../..');
  const words = ['--import=tsx', '--input-type=module', '-e', program];
  execFileSync(process.execPath, words, { cwd: project, stdio: 'pipe' });
}

function folderOfNobody(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  chownSync(folder, 65534, 65534);
  return folder;
}

test('an ordinary user gets everything that needs no privilege, also over itself', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const target = join(folderOfNobody(t), 'tree');
  // As --without=privileged, and without the trusted.* attribute in the tree.
  const mask = 0x13aebb20n & ~FEATURE.xattrs;
  extractAsNobody('tree/default.catar', target, mask);
  const before = snapshotTree(target);
  t.is(before.get('setuid')?.split(' ')[1], 'mode=4755');
  t.is(before.get('noperm')?.split(' ')[1], 'mode=0');
  t.true([...before.values()].every((node) => node.includes('owner=65534:65534')));
  t.false(before.has('chardev'));
  t.true(before.has('fifo') && before.has('socket'));
  extractAsNobody('tree/default.catar', target, mask);
  t.deepEqual(snapshotDifferences(before, snapshotTree(target)), []);
});

test('an ordinary user is told how to leave out what only root may do', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const target = join(folderOfNobody(t), 'tree');
  t.throws(() => extractAsNobody('tree/default.catar', target, (1n << 33n) - 1n), {
    message: /\.hidden: set owner: .*--without=privileged/s,
  });
});

test('an ordinary user can work in directories that he may not write to', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const target = join(folderOfNobody(t), 'tree');
  const mask = 0x13aebb20n;
  extractAsNobody('mini/dir.catar', target, mask);
  const before = snapshotTree(target);
  execFileSync('mkdir', ['-p', join(target, 'sub/extra/x')]);
  execFileSync('chown', ['-R', '65534:65534', target]);
  execFileSync('chmod', ['-R', '000', join(target, 'sub')]);
  chmodSync(target, 0o500);
  extractAsNobody('mini/dir.catar', target, mask);
  t.deepEqual(snapshotDifferences(before, snapshotTree(target)), []);
});
