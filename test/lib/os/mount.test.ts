import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startMountGuard } from '../../../lib/os/mount-guard.node.ts';
import { findMount, mountAt } from '../../../lib/os/mount-table.node.ts';
import { readWith, until } from '../../helpers/mounted.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A file system without a server, which stands for a dead one. */
async function mountSomething(t: ExecutionContext, name = 'm'): Promise<string> {
  const path = join(realpathSync(temporaryFolder(t)), name);
  mkdirSync(path);
  await readWith('mount', ['-t', 'tmpfs', 'none', path]);
  t.teardown(() => {
    const child: ChildProcess = spawn('umount', ['-l', path], { stdio: 'ignore' });
    return once(child, 'exit');
  });
  return path;
}

test('the root is among the mounts, and mounts are found by number and device', (t) => {
  const root = mountAt('/');
  t.truthy(root);
  if (root === undefined) return;
  t.is(findMount(root)?.point, '/');
  t.is(findMount({ ...root, device: '9999:9' }), undefined);
  t.regex(root.device, /^\d+:\d+$/);
});

test.serial('of mounts at one place the youngest is on top', async (t) => {
  if (!requirement(t, { root: true })) return;
  const path = await mountSomething(t, 'odd \\\n\t#\u{e4}');
  const point = Buffer.from(path).toString('latin1');
  const first = mountAt(point);
  await readWith('mount', ['-t', 'tmpfs', 'none', path]);
  const second = mountAt(point);
  t.truthy(first && second);
  if (first === undefined || second === undefined) return;
  t.not(second.id, first.id);
  t.true(findMount(first)?.isCovered);
  t.false(findMount(second)?.isCovered);
  await readWith('umount', [path]);
  t.is(findMount(second), undefined);
  t.false(findMount(first)?.isCovered);
});

test.serial('a guard that is dismissed unmounts nothing and ends', async (t) => {
  if (!requirement(t, { root: true })) return;
  const path = await mountSomething(t);
  const entry = mountAt(path);
  const guard = startMountGuard();
  if (entry !== undefined) guard.watch(entry);
  await guard.dismiss();
  t.is(mountAt(path)?.id, entry?.id);
  await startMountGuard().dismiss();
});

/** What starts a guard for a mount and is killed. */
async function dieWithGuard(id: number, device: string): Promise<void> {
  const module = new URL('../../../lib/os/mount-guard.node.ts', import.meta.url).href;
  const script = `const { startMountGuard } = await import('${module}');
    startMountGuard().watch({ id: ${id}, device: '${device}' });
    setInterval(() => {}, 1000);
    console.log('watched');`;
  const words = ['--import=tsx', '--input-type=module', '-e', script];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const children = await readWith('cat', [`/proc/${child.pid}/task/${child.pid}/children`]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (const guard of children.trim().split(' ')) {
    await until(() => !isAlive(Number(guard)), 'the guard has ended');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test.serial('a guard unmounts what its process leaves, and no other mount', async (t) => {
  if (!requirement(t, { root: true })) return;
  const path = await mountSomething(t, 'odd %s \\n "x"');
  const entry = mountAt(path);
  t.truthy(entry);
  if (entry === undefined) return;
  await dieWithGuard(entry.id, '9999:9');
  await dieWithGuard(entry.id + 1_000_000, entry.device);
  t.is(mountAt(path)?.id, entry.id);
  await readWith('mount', ['-t', 'tmpfs', 'none', path]);
  const above = mountAt(path);
  await dieWithGuard(entry.id, entry.device);
  t.is(mountAt(path)?.id, above?.id);
  await readWith('umount', [path]);
  t.is(mountAt(path)?.id, entry.id);
  await dieWithGuard(entry.id, entry.device);
  t.is(mountAt(path), undefined);
});
