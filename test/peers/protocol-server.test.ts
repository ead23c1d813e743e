/** `casync pull` and `casync push` of ours with clients of others: the reference, also over ssh, and desync. */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise, text } from '../helpers/golden.ts';
import { findDesync } from '../helpers/peer-servers.ts';
import { missingRequirements, requirement } from '../helpers/requirements.ts';
import { CASYNC, type RunResult, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { SSH_NEEDS, type SshServer, startSshServer } from '../helpers/sshd.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const SMALL_CHUNKS = '--chunk-size=1024:4096:16384';

interface Scene {
  readonly folder: string;
  /** Runs the reference with our command at the other end. */
  readonly reference: (...args: readonly string[]) => Promise<RunResult>;
  readonly environment: Readonly<Record<string, string>>;
}

/** A program that runs what follows the host, as ssh does. */
function writeFakeSsh(folder: string): string {
  const path = join(folder, 'fake-ssh');
  writeFileSync(path, '#!/bin/sh\n[ "$1" = -- ] && shift\nshift\neval "exec $*"\n');
  chmodSync(path, 0o755);
  return path;
}

function writeRemoteProgram(folder: string): string {
  const path = join(folder, 'remote-casync');
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${CASYNC}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

function scene(t: ExecutionContext, ssh?: SshServer): Scene {
  const folder = temporaryFolder(t);
  const environment = {
    CASYNC_SSH_PATH: ssh?.sshProgram ?? writeFakeSsh(folder),
    CASYNC_REMOTE_PATH: writeRemoteProgram(folder),
  };
  writeFileSync(join(folder, 'blob'), Buffer.concat([noise(300_000), text(300_000)]));
  mkdirSync(join(folder, 'tree/sub'), { recursive: true });
  writeFileSync(join(folder, 'tree/a'), noise(70_000, 2));
  writeFileSync(join(folder, 'tree/sub/b'), 'b');
  const reference = (...args: readonly string[]) =>
    runReference(args, { env: environment, cwd: folder });
  return { folder, reference, environment };
}

function read(folder: string, name: string): Buffer {
  return readFileSync(join(folder, name));
}

async function roundTrip(t: ExecutionContext, { folder, reference }: Scene): Promise<void> {
  const at = (name: string) => `host:${join(folder, name)}`;
  const store = `--store=${at('s.castr')}`;
  await succeed(reference('make', store, SMALL_CHUNKS, at('x.caibx'), 'blob'));
  await succeed(reference('make', store, at('x.caidx'), 'tree'));
  await succeed(reference('make', at('x.catar'), 'tree'));
  await succeed(reference('extract', store, at('x.caibx'), 'blob2'));
  t.deepEqual(read(folder, 'blob2'), read(folder, 'blob'));
  await succeed(reference('extract', store, at('x.caidx'), 'tree2'));
  t.deepEqual(read(folder, 'tree2/a'), read(folder, 'tree/a'));
  await succeed(reference('extract', store, 'x.caibx', 'blob3'));
  t.deepEqual(read(folder, 'blob3'), read(folder, 'blob'));
  const list = await succeed(reference('list', at('x.catar')));
  t.deepEqual((await succeed(reference('list', store, at('x.caidx')))).stdout, list.stdout);
  const mtree = await succeed(reference('mtree', 'x.catar'));
  t.deepEqual((await succeed(reference('mtree', at('x.catar')))).stdout, mtree.stdout);
  t.is(list.stderr.toString() + mtree.stderr.toString(), '');
  const left = readdirSync(folder).filter((name) => name.startsWith('.#'));
  t.deepEqual(left, []);
}

test('the reference makes, extracts and lists with our command at the other end', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  await roundTrip(t, scene(t));
});

test.serial('the same over a real ssh', async (t) => {
  if (!requirement(t, { commands: ['casync', ...(SSH_NEEDS.commands ?? [])] })) return;
  const server = await startSshServer();
  t.teardown(() => server.stop());
  await roundTrip(t, scene(t, server));
});

test('what the reference pushed is what it makes itself', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, reference } = scene(t);
  const at = (name: string) => `host:${join(folder, name)}`;
  await succeed(reference('make', `--store=${at('s.castr')}`, SMALL_CHUNKS, at('x.caibx'), 'blob'));
  await succeed(reference('make', '--store=local.castr', SMALL_CHUNKS, 'local.caibx', 'blob'));
  t.deepEqual(read(folder, 'x.caibx'), read(folder, 'local.caibx'));
  const files = (store: string) =>
    readdirSync(join(folder, store), { recursive: true, encoding: 'utf8' }).toSorted();
  t.deepEqual(files('s.castr'), files('local.castr'));
});

test('failures of ours reach the user of the reference with their reason', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, reference } = scene(t);
  const missing = await reference('list', `host:${join(folder, 'none.catar')}`);
  t.is(missing.status, 1);
  t.regex(missing.stderr.toString(), /none\.catar.*No such file or directory/);
  t.regex(missing.stderr.toString(), /Failed to run synchronizer: No such file or directory/);
  const unwritable = await reference(
    'make',
    `--store=host:${join(folder, 's.castr')}`,
    `host:${join(folder, 'none/x.caibx')}`,
    'blob',
  );
  t.is(unwritable.status, 1);
  t.regex(unwritable.stderr.toString(), /none\/x\.caibx.*No such file or directory/);
});

test('100 sessions, four at a time, come to their end', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, reference } = scene(t);
  const store = `--store=host:${join(folder, 's.castr')}`;
  const make = (index: string) =>
    reference('make', store, SMALL_CHUNKS, `host:${join(folder, index)}`, 'blob');
  await succeed(make('x.caibx'));
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < 100; i = next++) {
      if (i % 4 === 0) await succeed(make(`${i}.caibx`));
      else
        await succeed(reference('extract', store, `host:${join(folder, 'x.caibx')}`, `${i}.out`));
      const made = i % 4 === 0 ? [`${i}.caibx`, 'x.caibx'] : [`${i}.out`, 'blob'];
      if (!read(folder, made[0]).equals(read(folder, made[1]))) throw new Error(`run ${i} differs`);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  t.pass();
});

test('a client that is killed at any moment leaves nothing half visible', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, environment, reference } = scene(t);
  const store = `--store=host:${join(folder, 's.castr')}`;
  const index = join(folder, 'x.caibx');
  const args = ['make', store, SMALL_CHUNKS, `host:${index}`, 'blob'];
  for (let delayMs = 0; delayMs < 600; delayMs += 40) {
    const child = spawn('casync', args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: 'ignore',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
    await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    if (!readdirSync(folder).includes('x.caibx')) continue;
    const check = await runCasync(['verify', '--store=s.castr', 'x.caibx'], { cwd: folder });
    t.is(check.status, 0, check.stderr.toString());
  }
  await succeed(reference(...args));
  t.is((await runCasync(['verify', '--store=s.castr', 'x.caibx'], { cwd: folder })).status, 0);
});

test('desync reads from our command, several sessions at a time', async (t) => {
  const desync = findDesync();
  const missing = missingRequirements({ commands: ['casync'] });
  if (desync === undefined || missing.length > 0) {
    // No package of Debian stable has it, so the checks of the project do without.
    t.log(`SKIPPED: ${t.title}: needs desync and casync`);
    t.pass();
    return;
  }
  const { folder, environment } = scene(t);
  const made = ['make', '--store=s.castr', SMALL_CHUNKS, 'x.caibx', 'blob'];
  await succeed(runReference(made, { cwd: folder }));
  const address = `ssh://127.0.0.1${join(folder, 's.castr')}`;
  for (let i = 0; i < 5; i++) {
    const words = ['extract', '-n', '4', '-s', address, 'x.caibx', `${i}.out`];
    await new Promise<void>((done, fail) => {
      const options = { cwd: folder, env: { ...process.env, ...environment }, timeout: 60_000 };
      execFile(desync, words, options, (error) => (error ? fail(error) : done()));
    });
    t.deepEqual(read(folder, `${i}.out`), read(folder, 'blob'));
  }
});
