/** The second of two equal runs writes nothing, seen by strace (spec/formats/extraction.md). */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { canTrace } from '../fault/kill-points.ts';
import { golden, noise } from '../helpers/golden.ts';
import { identitiesOf } from '../helpers/identities.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

/** Every call that changes files or directories, or waits for a disk. */
const CHANGING = [
  ['open', 'openat', 'creat', 'mknod', 'mknodat', 'mkdir', 'mkdirat', 'symlink', 'symlinkat'],
  ['link', 'linkat', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir'],
  ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'copy_file_range', 'sendfile', 'splice'],
  ['truncate', 'ftruncate', 'fallocate', 'fsync', 'fdatasync', 'syncfs', 'sync_file_range'],
  ['chmod', 'fchmod', 'fchmodat', 'chown', 'lchown', 'fchown', 'fchownat'],
  ['utime', 'utimes', 'utimensat', 'futimesat', 'setxattr', 'lsetxattr', 'fsetxattr'],
  ['removexattr', 'lremovexattr', 'fremovexattr', 'ioctl'],
].flat();
const READING_IOCTL = /GETFLAGS|FSGETXATTR|GETVERSION|GET_ATTRIBUTES|0x72, 0x10/;

/** Calls of a run that change something below the folder, failed ones included. */
async function changesOf(folder: string, args: readonly string[]): Promise<readonly string[]> {
  const log = join(folder, 'log');
  const wrapper = ['strace', '-f', '-y', '-qq', '-o', log, '-e', `trace=${CHANGING.join(',')}`];
  await succeed(runCasync(args, { wrapper }));
  return readFileSync(log, 'latin1')
    .split('\n')
    .filter((line) => {
      if (!line.includes(join(folder, 'target'))) return false;
      if (line.includes(' openat(') || line.includes('<... openat')) {
        return /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE/.test(line);
      }
      return !(line.includes(' ioctl(') && READING_IOCTL.test(line));
    });
}

/** A tree with many small files, a few large ones, and all kinds of metadata where that is possible. */
function sourceTree(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  const source = join(folder, 'source');
  mkdirSync(join(source, 'many'), { recursive: true });
  for (let i = 0; i < 300; i++) writeFileSync(join(source, `many/f${i}`), noise(100 + 37 * i));
  for (const size of [0, 1, 200_000, 3_000_000]) {
    writeFileSync(join(source, `size ${size}`), noise(size));
  }
  execFileSync('ln', ['-s', 'nowhere', join(source, 'link')]);
  execFileSync('mkfifo', [join(source, 'fifo')]);
  execFileSync('chmod', ['0555', join(source, 'many')]);
  return source;
}

for (const workers of ['0', '2']) {
  test.serial(`extract over the same tree changes nothing (${workers} threads)`, async (t) => {
    const needs = { root: true, conditions: { 'tracing is allowed': canTrace() } };
    if (!requirement(t, needs)) return;
    process.env.CASYNC_WORKERS = workers;
    const folder = temporaryFolder(t);
    const [archive, index] = [join(folder, 'x.catar'), join(folder, 'x.caidx')];
    const target = join(folder, 'target');
    const source = sourceTree(t);
    await succeed(runCasync(['make', archive, source]));
    await succeed(runCasync(['make', index, source]));
    writeFileSync(join(folder, 'golden.catar'), golden('tree/default.catar'));
    for (const input of [archive, index, join(folder, 'golden.catar')]) {
      rmSync(target, { recursive: true, force: true });
      await succeed(runCasync(['extract', input, target]));
      const before = identitiesOf(target);
      t.deepEqual(await changesOf(folder, ['extract', input, target]), [], input);
      t.deepEqual(identitiesOf(target), before, input);
    }
    process.env.CASYNC_WORKERS = undefined;
  });

  test.serial(`clone of the same tree changes nothing (${workers} threads)`, async (t) => {
    const needs = { root: true, conditions: { 'tracing is allowed': canTrace() } };
    if (!requirement(t, needs)) return;
    process.env.CASYNC_WORKERS = workers;
    const folder = temporaryFolder(t);
    const [source, target] = [sourceTree(t), join(folder, 'target')];
    await succeed(runCasync(['clone', source, target]));
    t.deepEqual(compareTrees(source, target), []);
    const before = identitiesOf(target);
    t.deepEqual(await changesOf(folder, ['clone', source, target]), []);
    t.deepEqual(identitiesOf(target), before);
    // The proof sees changes where there are some.
    utimesSync(join(target, 'size 1'), 1, 1);
    const changes = await changesOf(folder, ['clone', source, target]);
    t.is(changes.length, 1);
    t.regex(changes[0], /utimensat/);
    process.env.CASYNC_WORKERS = undefined;
  });
}

test.serial('an ordinary user changes nothing either', async (t) => {
  const needs = { root: true, commands: ['setpriv'], conditions: { tracing: canTrace() } };
  if (!requirement(t, needs)) return;
  const folder = temporaryFolder(t);
  execFileSync('chmod', ['0777', folder]);
  const source = sourceTree(t);
  const archive = join(folder, 'x.catar');
  await succeed(runCasync(['--without=privileged', 'make', archive, source]));
  execFileSync('chmod', ['0644', archive]);
  const target = join(folder, 'target');
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const args = ['--without=privileged', 'extract', archive, target];
  await succeed(runCasync(args, { wrapper: user }));
  const before = identitiesOf(target);
  await succeed(runCasync(args, { wrapper: user }));
  t.deepEqual(identitiesOf(target), before);
});
