// How `casync mount` ends, whoever ends it and however: no dead mount and no process is left.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import {
  MOUNT_NEEDS,
  type MountProcess,
  mountsAt,
  readWith,
  startMount,
  until,
} from '../helpers/mounted.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const BESIDE = { ...MOUNT_NEEDS, commands: [...(MOUNT_NEEDS.commands ?? []), 'casync'] };
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SOON_MS = 2000;
const CONTENT = noise(8 * 1024 * 1024);

const made = makeTemporaryFolder();
const index = join(made, 'x.caidx');

test.before(async () => {
  mkdirSync(join(made, 'tree/sub'), { recursive: true });
  writeFileSync(join(made, 'tree/big'), CONTENT);
  for (let i = 0; i < 100; i++) writeFileSync(join(made, `tree/sub/${i}`), `${i}`);
  await succeed(runCasync(['make', '--with=fuse', 'x.caidx', 'tree'], { cwd: made }));
  await succeed(runCasync(['make', '--with=fuse', 'x.catar', 'tree'], { cwd: made }));
});
test.after.always(() => removeTree(made));

/** Closing a file of a mount that is gone fails, and closes it. */
function closeDead(file: number): void {
  try {
    closeSync(file);
  } catch {
    return;
  }
}

async function assertNothingLeft(t: ExecutionContext, mount: MountProcess): Promise<void> {
  t.is(mountsAt(realpathSync(mount.mountPoint)), 0);
  t.deepEqual(readdirSync(mount.mountPoint), []);
  await assertNoGuard(mount);
}

async function assertNoGuard({ guard }: MountProcess): Promise<void> {
  await until(() => !existsSync(`/proc/${guard}/fd`), 'the guard has ended');
}

/** Reads all over again until it is ended. */
function busyReader(t: ExecutionContext, mountPoint: string): ChildProcess {
  const script = 'while cat big >/dev/null && find . | xargs -P2 cat >/dev/null; do :; done';
  const child = spawn('sh', ['-c', `${script} 2>&1`], {
    cwd: mountPoint,
    stdio: 'ignore',
    detached: true,
  });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

for (const signal of SIGNALS) {
  test.serial(`${signal} is the normal end, as it is of the original`, async (t) => {
    if (!requirement(t, BESIDE)) return;
    for (const program of ['ours', 'reference'] as const) {
      const mount = await startMount(t, [index], { program });
      await readWith('ls', [mount.mountPoint]);
      const { status, stdout } = await mount.stop(signal);
      t.deepEqual([status, stdout], [0, `Mounted: ${mount.mountPoint}\n`]);
      if (program === 'ours') t.is(mount.stderr(), '');
      await assertNothingLeft(t, mount);
    }
  });
}

for (const words of [
  ['umount'],
  ['umount', '-l'],
  ['umount', '-f'],
  ['fusermount3', '-u'],
  ['fusermount3', '-u', '-z'],
]) {
  test.serial(`${words.join(' ')} ends it, as it does the original`, async (t) => {
    if (!requirement(t, BESIDE)) return;
    const [file = '', ...options] = words;
    for (const program of ['ours', 'reference'] as const) {
      const mount = await startMount(t, [index], { program });
      await readWith(file, [...options, mount.mountPoint]);
      t.is((await mount.end()).status, 0);
      await assertNothingLeft(t, mount);
    }
  });
}

test.serial('a mount that is unmounted lazily is served until its files are closed', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  const file = openSync(join(mount.mountPoint, 'big'), 'r');
  await readWith('umount', ['-l', mount.mountPoint]);
  const content = await readWith('sha256sum', [`/proc/${process.pid}/fd/${file}`]);
  t.is(content.slice(0, 64), (await readWith('sha256sum', [join(made, 'tree/big')])).slice(0, 64));
  t.is(mount.child.exitCode, null);
  closeSync(file);
  t.is((await mount.end()).status, 0);
  await assertNothingLeft(t, mount);
});

test.serial('umount -f of a mount in use leaves no dead one', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  const file = openSync(join(mount.mountPoint, 'big'), 'r');
  await t.throwsAsync(readWith('umount', ['-f', mount.mountPoint]));
  t.is((await mount.end()).status, 0);
  closeDead(file);
  await assertNothingLeft(t, mount);
});

test.serial('a signal ends it soon while files are open and read', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  const readers = [busyReader(t, mount.mountPoint), busyReader(t, mount.mountPoint)];
  const file = openSync(join(mount.mountPoint, 'big'), 'r');
  const end = await mount.stop();
  t.is(end.status, 0);
  t.is(end.stderr, '');
  t.true(end.tookMs < SOON_MS, `${end.tookMs} ms`);
  t.log(`${Math.round(end.tookMs)} ms`);
  closeDead(file);
  for (const reader of readers) {
    if (reader.exitCode === null && reader.signalCode === null) await once(reader, 'exit');
  }
  await assertNothingLeft(t, mount);
});

test.serial('killed, it leaves no dead mount', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  const reader = busyReader(t, mount.mountPoint);
  const file = openSync(join(mount.mountPoint, 'big'), 'r');
  const point = realpathSync(join(mount.mountPoint, '..'));
  t.is((await mount.stop('SIGKILL')).signal, 'SIGKILL');
  await until(() => mountsAt(join(point, 'm')) === 0, 'the mount is gone');
  closeDead(file);
  if (reader.exitCode === null && reader.signalCode === null) await once(reader, 'exit');
  await assertNothingLeft(t, mount);
});

test.serial('killed, its mount is found under a name that has changed', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = realpathSync(temporaryFolder(t));
  mkdirSync(join(folder, 'a'));
  const mount = await startMount(t, [index], { mountPoint: join(folder, 'a/m %s\\n, "x"\t') });
  renameSync(join(folder, 'a'), join(folder, 'b'));
  await mount.stop('SIGKILL');
  await until(() => mountsAt(join(folder, 'b/m %s\\n, "x"\t')) === 0, 'the mount is gone');
  t.deepEqual(readdirSync(join(folder, 'b/m %s\\n, "x"\t')), []);
  const again = await startMount(t, [index], { mountPoint: join(folder, 'b/x') });
  renameSync(join(folder, 'b'), join(folder, 'c'));
  t.is((await again.stop()).status, 0);
  t.is(mountsAt(join(folder, 'c/x')), 0);
});

test.serial('what others have mounted above it stays', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const mount = await startMount(t, [index]);
    const point = realpathSync(mount.mountPoint);
    await readWith('mount', ['-t', 'tmpfs', 'none', point]);
    await mount.stop(signal);
    await assertNoGuard(mount);
    t.true(mountsAt(point) >= 1, signal);
    t.is(await readWith('stat', ['-f', '-c', '%T', point]), 'tmpfs\n');
    await readWith('umount', [point]);
    if (mountsAt(point) > 0) await readWith('umount', [point]);
  }
});

test.serial('a reader that is killed in the middle of a read changes nothing', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  for (let i = 0; i < 10; i++) {
    const reader = spawn('cat', [join(mount.mountPoint, 'big')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(reader.stdout, 'data');
    reader.kill('SIGKILL');
    await once(reader, 'close');
  }
  await readWith('cmp', [join(mount.mountPoint, 'big'), join(made, 'tree/big')]);
  const { status, stderr } = await mount.stop();
  t.deepEqual([status, stderr], [0, '']);
  await assertNothingLeft(t, mount);
});

async function startAndStop(t: ExecutionContext, rounds: number): Promise<void> {
  const mountPoint = join(realpathSync(temporaryFolder(t)), 'm');
  for (let round = 0; round < rounds; round++) {
    const mount = await startMount(t, [index], { mountPoint });
    const reader = round % 2 === 0 ? busyReader(t, mountPoint) : undefined;
    if (round % 4 === 0) await readWith('ls', [mountPoint]);
    const signal = round % 5 === 0 ? 'SIGKILL' : 'SIGTERM';
    const { status, stderr } = await mount.stop(signal);
    if (signal === 'SIGTERM') t.deepEqual([status, stderr], [0, '']);
    await until(() => mountsAt(mountPoint) === 0, 'the mount is gone');
    await assertNoGuard(mount);
    if (reader?.exitCode === null && reader.signalCode === null) await once(reader, 'exit');
  }
}

test.serial('started and stopped a hundred times, busy or not', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  t.timeout(240_000);
  await Promise.all([25, 25, 25, 25].map((rounds) => startAndStop(t, rounds)));
});

test.serial('fifty at a time', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  t.timeout(240_000);
  const mounts: MountProcess[] = [];
  for (let i = 0; i < 10; i++) {
    mounts.push(...(await Promise.all([1, 2, 3, 4, 5].map(() => startMount(t, [index])))));
  }
  for (const { mountPoint } of mounts) await readWith('ls', [mountPoint]);
  t.is(new Set(mounts.map(({ guard }) => guard)).size, 50);
  const ends = await Promise.all(mounts.map((mount, i) => mount.stop(SIGNALS[i % 3])));
  t.deepEqual(new Set(ends.map(({ status, stderr }) => `${status} ${stderr}`)), new Set(['0 ']));
  for (const mount of mounts) await assertNothingLeft(t, mount);
});

test.serial('a second signal ends it at once, and the mount is gone, too', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const mount = await startMount(t, [index]);
  mount.child.kill('SIGTERM');
  mount.child.kill('SIGINT');
  mount.child.kill('SIGHUP');
  const { status, tookMs } = await mount.end();
  t.true(status === 0 || status === 130, `${status}`);
  t.true(tookMs < 60_000);
  await until(() => mountsAt(`${realpathSync(join(mount.mountPoint, '..'))}/m`) === 0, 'gone');
  await assertNothingLeft(t, mount);
});

test.serial('it keeps neither outputs nor folders of its caller open', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const cwd = temporaryFolder(t);
  const mount = await startMount(t, [index], { cwd });
  const { guard } = mount;
  t.is(await readWith('readlink', [`/proc/${guard}/cwd`]), '/\n');
  for (const fd of [1, 2]) {
    t.is(await readWith('readlink', [`/proc/${guard}/fd/${fd}`]), '/dev/null\n');
  }
  const open = readdirSync(`/proc/${guard}/fd`).length;
  t.true(open <= 4, `${open}`);
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${guard}/status`, 'ascii'))?.[1];
  t.log(`the guard occupies ${memory} KiB`);
  await mount.stop();
});

test.serial(
  'a reader of its output that goes away, and no output at all, change nothing',
  async (t) => {
    if (!requirement(t, MOUNT_NEEDS)) return;
    const closed = await startMount(t, [index], {
      wrapper: ['sh', '-c', 'exec "$@" <&- >&-', 'sh'],
      stdout: openSync('/dev/null', 'w'),
    });
    t.is((await readWith('ls', [closed.mountPoint])).length, 8);
    const gone = await startMount(t, [index], {
      wrapper: ['sh', '-c', '"$@" | true', 'sh'],
      stdout: openSync('/dev/null', 'w'),
    });
    t.is((await readWith('ls', [gone.mountPoint])).length, 8);
    for (const { mountPoint, end } of [closed, gone]) {
      await readWith('umount', [mountPoint]);
      t.is((await end()).status, 0);
    }
  },
);

test.serial(
  'an archive that is replaced stays as it was; one that is cut fails and lives on',
  async (t) => {
    if (!requirement(t, MOUNT_NEEDS)) return;
    const folder = temporaryFolder(t);
    const [path, other] = [join(folder, 'x.catar'), join(folder, 'y')];
    copyFileSync(join(made, 'x.catar'), path);
    const replaced = await startMount(t, ['x.catar'], { cwd: folder });
    writeFileSync(other, 'something else');
    renameSync(other, path);
    await readWith('cmp', [join(replaced.mountPoint, 'big'), join(made, 'tree/big')]);
    t.is((await replaced.stop()).stderr, '');

    copyFileSync(join(made, 'x.catar'), path);
    const cut = await startMount(t, ['x.catar'], { cwd: folder });
    truncateSync(path, 100_000);
    await t.throwsAsync(readWith('cat', [join(cut.mountPoint, 'big')]), {
      message: /Input\/output error/,
    });
    t.regex(cut.stderr(), /x\.catar: /);
    copyFileSync(join(made, 'x.catar'), path);
    await readWith('cmp', [join(cut.mountPoint, 'big'), join(made, 'tree/big')]);
    t.is((await cut.stop()).status, 0);
    t.true(existsSync(cut.mountPoint));
  },
);
