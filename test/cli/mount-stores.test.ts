// `casync mount` over stores that are elsewhere, lack chunks, are damaged, or never answer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { startHeldServer } from '../helpers/held-server.ts';
import { MOUNT_NEEDS, mountsAt, readWith, startMount, until } from '../helpers/mounted.ts';
import { NGINX_NEEDS, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { SSH_NEEDS, startSshServer } from '../helpers/sshd.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const CONTENT = noise(2_000_000);
const SOON_MS = 3000;

/** `x.caidx`, `x.catar`, `b.caibx` with one store, and what is in them. */
async function makeFolder(t: ExecutionContext): Promise<string> {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree'));
  writeFileSync(join(folder, 'tree/f'), CONTENT);
  writeFileSync(join(folder, 'tree/g'), 'small');
  for (const [output, input] of [
    ['x.caidx', 'tree'],
    ['x.catar', 'tree'],
    ['b.caibx', 'tree/f'],
  ] as const) {
    await succeed(runCasync(['make', '--with=fuse', output, input], { cwd: folder }));
  }
  return folder;
}

async function assertReadable(t: ExecutionContext, folder: string, base: string, env = {}) {
  for (const [name, file] of [
    ['x.caidx', 'f'],
    ['x.catar', 'f'],
    ['b.caibx', 'b'],
  ] as const) {
    const mount = await startMount(t, [`${base}/${name}`], { env });
    await readWith('cmp', [join(mount.mountPoint, file), join(folder, 'tree/f')]);
    const { status, stderr } = await mount.stop();
    t.deepEqual([status, stderr], [0, '']);
  }
}

test.serial('indexes, archives and chunks come over HTTP', async (t) => {
  if (!requirement(t, MOUNT_NEEDS) || !requirement(t, NGINX_NEEDS)) return;
  const folder = await makeFolder(t);
  const nginx = await startNginx({ folder });
  t.teardown(() => nginx.stop());
  await assertReadable(t, folder, nginx.url);
});

test.serial('indexes, archives and chunks come over ssh', async (t) => {
  if (!requirement(t, MOUNT_NEEDS) || !requirement(t, SSH_NEEDS)) return;
  const folder = await makeFolder(t);
  const server = await startSshServer();
  t.teardown(() => server.stop());
  const env = { CASYNC_SSH_PATH: server.sshProgram, CASYNC_REMOTE_PATH: CASYNC };
  const mount = await startMount(t, [`host:${join(folder, 'x.caidx')}`], { env });
  await readWith('cmp', [join(mount.mountPoint, 'f'), join(folder, 'tree/f')]);
  const { status, stderr } = await mount.stop();
  t.deepEqual([status, stderr], [0, '']);
  await assertReadable(t, folder, `sftp://host${folder}`, env);
});

function chunksOf(folder: string): readonly string[] {
  const store = join(folder, 'default.castr');
  return readdirSync(store).flatMap((shard) =>
    readdirSync(join(store, shard)).map((name) => join(store, shard, name)),
  );
}

test.serial('what is missing or damaged fails in one line each, and is tried again', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = await makeFolder(t);
  for (const harm of ['missing', 'damaged'] as const) {
    const mount = await startMount(t, ['x.caidx'], { cwd: folder });
    const read = (): Promise<string> =>
      readWith('cmp', [join(mount.mountPoint, 'f'), join(folder, 'tree/f')]);
    const chunks = chunksOf(folder);
    for (const chunk of chunks) {
      renameSync(chunk, `${chunk}.away`);
      if (harm === 'damaged') writeFileSync(chunk, 'damaged');
    }
    for (let i = 0; i < 3; i++) await t.throwsAsync(read(), { message: /Input\/output error/ });
    const lines = mount.stderr().trim().split('\n');
    t.true(lines.length >= 1 && new Set(lines).size === lines.length, mount.stderr());
    for (const chunk of chunks) {
      rmSync(chunk, { force: true });
      renameSync(`${chunk}.away`, chunk);
    }
    await t.notThrowsAsync(read());
    t.is((await mount.stop()).status, 0);
  }
});

test.serial('a store that is not there is no reason to unmount', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = await makeFolder(t);
  copyFileSync(join(folder, 'b.caibx'), join(folder, 'c.caibx'));
  const mount = await startMount(t, ['--store=gone.castr', 'c.caibx'], { cwd: folder });
  t.is(await readWith('ls', [mount.mountPoint]), 'c\n');
  await t.throwsAsync(readWith('cat', [join(mount.mountPoint, 'c')]), {
    message: /Input\/output error/,
  });
  t.regex(mount.stderr(), /gone\.castr/);
  renameSync(join(folder, 'default.castr'), join(folder, 'gone.castr'));
  await readWith('cmp', [join(mount.mountPoint, 'c'), join(folder, 'tree/f')]);
  t.is((await mount.stop()).status, 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test.serial(`${signal} while a server does not answer`, async (t) => {
    if (!requirement(t, MOUNT_NEEDS)) return;
    const folder = await makeFolder(t);
    const server = await startHeldServer(t, folder);
    const mount = await startMount(t, [`--store=${server.url}/default.castr`, 'b.caibx'], {
      cwd: folder,
    });
    server.hold();
    const before = server.requests.length;
    const reader = spawn('cat', [join(mount.mountPoint, 'b')], { stdio: 'ignore' });
    await until(() => server.requests.length > before, 'a chunk is asked for');
    const { status, stderr, tookMs } = await mount.stop(signal);
    t.deepEqual([status, stderr], [0, '']);
    t.true(tookMs < SOON_MS, `${tookMs} ms`);
    t.log(`${Math.round(tookMs)} ms`);
    if (reader.exitCode === null) await once(reader, 'exit');
    t.is(reader.exitCode, 1);
    t.is(mountsAt(mount.mountPoint), 0);
  });
}

test.serial('a reader that gives up does not wait for a server that does not answer', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = await makeFolder(t);
  const server = await startHeldServer(t, folder);
  const words = [`--store=${server.url}/default.castr`, 'b.caibx'];
  const mount = await startMount(t, words, { cwd: folder });
  server.hold();
  const before = server.requests.length;
  const file = join(mount.mountPoint, 'b');
  const reader = spawn('cat', [file], { stdio: 'ignore' });
  await until(() => server.requests.length > before, 'a chunk is asked for');
  reader.kill('SIGKILL');
  await once(reader, 'exit');
  server.letGo();
  await readWith('cmp', [file, join(folder, 'tree/f')]);
  const { status, stderr } = await mount.stop();
  t.deepEqual([status, stderr], [0, '']);
});
