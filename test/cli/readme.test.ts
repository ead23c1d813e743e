/** The examples of the README that need nothing but a store, run one after another. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const README = resolve(import.meta.dirname, '../../README.md');
const runFile = promisify(execFile);

/** The commands of a section, in order. */
function commandsUnder(head: string): readonly string[] {
  const section = readFileSync(README, 'utf8').split(`\n### ${head}\n`)[1].split('\n#')[0];
  return [...section.matchAll(/^ {4}(.*)$/gm)].map(([, command]) => command);
}

/** What the section speaks of: an image and a tree, each with its store. */
async function prepare(t: ExecutionContext): Promise<string> {
  const cwd = temporaryFolder(t);
  mkdirSync(join(cwd, 'bin'));
  mkdirSync(join(cwd, 'etc'));
  symlinkSync(CASYNC, join(cwd, 'bin/casync'));
  writeFileSync(join(cwd, 'etc/hostname'), 'example\n');
  writeFileSync(join(cwd, 'disk.raw'), noise(3 * 1024 * 1024));
  await succeed(runCasync(['make', '--store=images.castr', 'monday.caibx', 'disk.raw'], { cwd }));
  await succeed(runCasync(['make', '--store=backup.castr', 'etc.caidx', 'etc'], { cwd }));
  return cwd;
}

/** Begins a command that goes on; resolves when it says that it can be used. */
async function begin(
  command: string,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', `exec ${command}`], options);
  await once(child.stdout, 'data');
  return child;
}

test('an archive and an image are used without extracting them', async (t) => {
  if (!requirement(t, { root: true, commands: ['qemu-img', 'fusermount3', 'umount'] })) return;
  t.timeout(120_000);
  const cwd = await prepare(t);
  const options = { cwd, env: { ...process.env, PATH: `${cwd}/bin:${process.env.PATH}` } };
  const going: ChildProcess[] = [];
  t.teardown(async () => {
    for (const child of going) child.kill('SIGKILL');
    await runFile('umount', ['-l', join(cwd, 'mnt')]).catch(() => {});
  });
  const printed: string[] = [];
  for (const command of commandsUnder('Without extracting')) {
    if (command.endsWith(' &')) going.push(await begin(command.slice(0, -2), options));
    else printed.push((await runFile('bash', ['-c', command], options)).stdout);
  }
  t.deepEqual(printed.slice(0, 2), ['example\n', 'example\n']);
  t.regex(printed[2], /^0000000( +\S+){16}\n/);
  await runFile('qemu-img', ['compare', 'disk.raw', 'copy.raw'], options);
  const [mount, server] = going;
  if (mount.exitCode === null) await once(mount, 'exit');
  t.is(mount.exitCode, 0);
  server.kill('SIGTERM');
  const [status] = await once(server, 'exit');
  t.is(status, 0);
});

test('images, their maps, versions and deltas', async (t) => {
  t.timeout(120_000);
  const cwd = await prepare(t);
  const options = { cwd, env: { ...process.env, PATH: `${cwd}/bin:${process.env.PATH}` } };
  const before = readFileSync(join(cwd, 'disk.raw'));
  const after = Buffer.from(before);
  after.fill(0, 500_000, 510_000);
  writeFileSync(join(cwd, 'tuesday.raw'), after);
  const commands = commandsUnder('Images, devices and their versions');
  const local = commands.filter((command) => !command.includes('example.org'));
  t.true(local.length > 12 && local.length < commands.length);
  for (const command of local) {
    const { stderr } = await runFile('bash', ['-c', command], options);
    t.is(stderr, '', command);
    if (!command.endsWith('tuesday.cadelta')) continue;
    const patched = readFileSync(join(cwd, 'backup.raw'));
    t.true(patched.equals(command.includes('patch') ? after : before), command);
  }
  t.true(readFileSync(join(cwd, 'backup.raw')).equals(before));
  t.true(readFileSync(join(cwd, 'older.raw')).equals(before));
});
