// `casync mount` by somebody who may not mount: fusermount3 does it for him.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { GOLDEN } from '../helpers/golden.ts';
import {
  MOUNT_NEEDS,
  mountsAt,
  readWith,
  type StartMountOptions,
  startMount,
  until,
} from '../helpers/mounted.ts';
import { AS_ORDINARY_USER, ORDINARY_USER, ordinaryUserNeeds } from '../helpers/ordinary-user.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const archive = join(GOLDEN, 'mini/many.catar');
const AS_USER: StartMountOptions = { wrapper: AS_ORDINARY_USER };

function canRun(t: ExecutionContext): boolean {
  return requirement(t, MOUNT_NEEDS) && requirement(t, ordinaryUserNeeds());
}

function folderOfUser(t: ExecutionContext): string {
  const folder = realpathSync(temporaryFolder(t));
  chownSync(folder, ORDINARY_USER, ORDINARY_USER);
  return folder;
}

function readAsUser(...words: readonly string[]): Promise<string> {
  const [file = '', ...rest] = [...AS_ORDINARY_USER, ...words];
  return readWith(file, rest);
}

test.serial('an ordinary user mounts, reads and unmounts, and nobody else sees it', async (t) => {
  if (!canRun(t)) return;
  const mountPoint = join(folderOfUser(t), 'a, "m"\\');
  const mount = await startMount(t, [archive], { ...AS_USER, mountPoint });
  t.is((await readAsUser('find', mountPoint, '-type', 'f')).trim().split('\n').length, 37);
  await t.throwsAsync(readWith('ls', [mountPoint]), { message: /Permission denied/ });
  const [line = ''] = (await readWith('findmnt', ['-n', '-o', 'FSTYPE,OPTIONS', mountPoint])).split(
    '\n',
  );
  t.regex(
    line,
    /^fuse\.casync +ro,nosuid,nodev,relatime,user_id=65534,group_id=65534,default_permissions *$/,
  );
  t.is(statSync(join(mountPoint, '..')).uid, ORDINARY_USER);
  const { status, tookMs } = await mount.stop();
  t.is(status, 0);
  t.log(`${Math.round(tookMs)} ms`);
  t.is(mountsAt(mountPoint), 0);
});

test.serial('the mount of an ordinary user is called as its input', async (t) => {
  if (!canRun(t)) return;
  const folder = folderOfUser(t);
  const name = 'a, b\\c.catar';
  copyFileSync(archive, join(folder, name));
  const mountPoint = join(folder, 'm');
  await startMount(t, [name], { ...AS_USER, cwd: folder, mountPoint });
  const [line = ''] = (await readWith('findmnt', ['-n', '-r', '-o', 'SOURCE', mountPoint])).split(
    '\n',
  );
  t.is(line.replaceAll('\\x20', ' ').replaceAll('\\x5c', '\\'), name);
});

test.serial('an ordinary user leaves no dead mount, whatever ends the command', async (t) => {
  if (!canRun(t)) return;
  for (const signal of ['SIGKILL', 'SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
    const mountPoint = join(folderOfUser(t), 'm');
    const mount = await startMount(t, [archive], { ...AS_USER, mountPoint });
    await readAsUser('ls', mountPoint);
    const { status } = await mount.stop(signal);
    t.is(status, signal === 'SIGKILL' ? null : 0);
    await until(() => mountsAt(mountPoint) === 0, `the mount is gone after ${signal}`);
    await until(() => !existsSync(`/proc/${mount.guard}/fd`), 'the guard is gone');
  }
  for (const words of [['-u'], ['-u', '-z']]) {
    const mountPoint = join(folderOfUser(t), 'm');
    const mount = await startMount(t, [archive], { ...AS_USER, mountPoint });
    await readAsUser('fusermount3', ...words, mountPoint);
    t.is((await mount.end()).status, 0);
    t.is(mountsAt(mountPoint), 0);
  }
});

test.serial('a place where an ordinary user must not mount is named', async (t) => {
  if (!canRun(t)) return;
  const folder = realpathSync(temporaryFolder(t));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'other'));
  const refused = [
    {
      place: join(folder, 'other'),
      message:
        /^Failed to establish FUSE mount: (.*other): user has no write access to mountpoint \1\n$/,
    },
    {
      place: join(folder, 'new'),
      message: /^Failed to create mount directory .*new: Permission denied\n$/,
    },
  ];
  for (const { place, message } of refused) {
    const result = await runCasync(['mount', archive, place], { wrapper: AS_ORDINARY_USER });
    t.regex(result.stderr.toString(), message);
    t.is(result.status, 16);
  }
  t.is(mountsAt(join(folder, 'other')), 0);
});

test.serial('without fusermount3 an ordinary user is told so', async (t) => {
  if (!canRun(t)) return;
  const folder = folderOfUser(t);
  const result = await runCasync(['mount', archive, 'm'], {
    cwd: folder,
    wrapper: [...AS_ORDINARY_USER, 'env', 'PATH=/nonexistent'],
  });
  t.is(
    result.stderr.toString(),
    'Failed to establish FUSE mount: m: the program fusermount3 is not installed\n',
  );
});

test.serial('root who must not mount mounts with fusermount3, or is told why not', async (t) => {
  if (!canRun(t)) return;
  const folder = realpathSync(temporaryFolder(t));
  const result = await runCasync(['mount', archive, 'm'], {
    cwd: folder,
    wrapper: ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'],
  });
  t.is(result.status, 16);
  t.is(result.stderr.toString(), 'Failed to establish FUSE mount: m: Operation not permitted\n');
});
