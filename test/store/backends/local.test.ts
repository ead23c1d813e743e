import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createFileCalls } from '../../../lib/os/file-calls.node.ts';
import type { LocalBackendOptions } from '../../../store/backends/local.node.ts';
import { openLocalBackend } from '../../../store/backends/local.node.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { noise, text } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const syncAll = { syncFileSystem: async () => {} };
const calls = createFileCalls();
const VARIANTS: Readonly<Record<string, LocalBackendOptions>> = {
  ...(calls
    ? { 'local with native calls': { ...syncAll, calls }, scratch: { sync: 'none', calls } }
    : {}),
  local: {},
  'local with syncfs': syncAll,
  'local with syncfs that is not there': { syncFileSystem: () => undefined },
  'local without sync': { sync: 'none' },
};
for (const [name, options] of Object.entries(VARIANTS)) {
  backendSuite(name, (t) => openLocalBackend(join(temporaryFolder(t), 'store'), options));
}

const NOBODY = 65534;

/** Everything below a folder, as relative paths. */
function everything(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

function storeFolder(t: ExecutionContext): string {
  return join(temporaryFolder(t), 'store');
}

test('nothing is visible before it was synced, and everything after', async (t) => {
  const folder = storeFolder(t);
  const seen: (readonly string[])[] = [];
  const backend = openLocalBackend(folder, {
    syncFileSystem: async () => {
      seen.push(everything(folder).filter((name) => !name.endsWith('.tmp')));
    },
  });
  await backend.put('abcd/one', text(10));
  await backend.put('abcd/two', text(20));
  t.deepEqual(
    everything(folder).filter((name) => /one$|two$/.test(name)),
    [],
  );
  await backend.flush();
  t.deepEqual(seen, [['abcd'], ['abcd', 'abcd/one', 'abcd/two']]);
  t.deepEqual(everything(folder), ['abcd', 'abcd/one', 'abcd/two']);
});

test('what was put can be read at once through the same backend', async (t) => {
  const backend = openLocalBackend(storeFolder(t), syncAll);
  await backend.put('abcd/one', text(10));
  t.deepEqual(await backend.get('abcd/one'), text(10));
  t.is((await backend.stat('abcd/one'))?.size, 10);
});

test('close without flush leaves no temporary behind', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder);
  await backend.put('abcd/one', text(10));
  t.is(everything(folder).length, 2);
  await backend.close();
  t.deepEqual(everything(folder), ['abcd']);
});

test('temporaries are named and protected as those of casync', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder);
  const id = 'ab'.repeat(32);
  await backend.put(`abab/${id}.cacnk`, text(10));
  const [name] = fs.readdirSync(join(folder, 'abab'));
  t.regex(name, new RegExp(`^${id}\\.[0-9a-f]{1,16}\\.tmp$`));
  await backend.flush();
  const umask = process.umask();
  t.is(fs.statSync(join(folder, 'abab', `${id}.cacnk`)).mode & 0o7777, 0o444 & ~umask);
  t.is(fs.statSync(folder).mode & 0o777, 0o777 & ~umask);
});

test('a failed sync loses the group, leaves nothing visible and is never forgotten', async (t) => {
  const folder = storeFolder(t);
  const failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  const backend = openLocalBackend(folder, { syncFileSystem: () => Promise.reject(failure) });
  await backend.put('abcd/one', text(10));
  await t.throwsAsync(backend.flush(), { code: 'IO', message: new RegExp(folder) });
  t.deepEqual(everything(folder), []);
  await t.throwsAsync(backend.flush(), { code: 'IO' });
  await t.throwsAsync(backend.put('abcd/two', text(10)), { code: 'IO' });
  await backend.close();
});

test('a failed rename is reported with the name of the file', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder, syncAll);
  await backend.put('abcd/one', text(10));
  await backend.put('abcd/two', text(10));
  fs.mkdirSync(join(folder, 'abcd/one/in-the-way'), { recursive: true });
  await t.throwsAsync(backend.flush(), { message: /abcd\/one/ });
  t.false(everything(folder).some((name) => name.endsWith('.tmp')));
});

test('while a group is synced the next one is written, and no third begins', async (t) => {
  const releases: (() => void)[] = [];
  const backend = openLocalBackend(storeFolder(t), {
    syncFileSystem: () => new Promise((resolve) => releases.push(resolve)),
  });
  const put = (from: number, count: number): Promise<unknown>[] =>
    Array.from({ length: count }, (_, i) => backend.put(`abcd/${from + i}`, noise(1)));
  await Promise.all(put(0, 1999));
  t.is(releases.length, 1);
  const blocked = Promise.all(put(1999, 1));
  let isBlocked = true;
  void blocked.then(() => {
    isBlocked = false;
  });
  await new Promise(setImmediate);
  t.true(isBlocked);
  releases[0]();
  await blocked;
  t.is(releases.length, 2);
  const flushed = backend.flush();
  while (releases.length < 3) {
    releases[1]();
    await new Promise(setImmediate);
  }
  releases[2]();
  await flushed;
});

test('what is replaced or removed before it is visible leaves no temporary', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder, syncAll);
  await backend.put('abcd/one', text(1));
  await backend.put('abcd/one', text(2));
  await backend.put('abcd/two', text(3));
  await backend.remove('abcd/two');
  await backend.flush();
  t.deepEqual(everything(folder), ['abcd', 'abcd/one']);
});

test('what is removed while its group is synced does not appear', async (t) => {
  const folder = storeFolder(t);
  let release = (): void => {};
  const backend = openLocalBackend(folder, {
    syncFileSystem: () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  });
  await backend.put('abcd/one', text(1));
  await backend.put('abcd/two', text(2));
  const flushed = backend.flush();
  await new Promise(setImmediate);
  await backend.remove('abcd/one');
  release();
  await new Promise(setImmediate);
  release();
  await flushed;
  t.deepEqual(everything(folder), ['abcd', 'abcd/two']);
});

test('a symbolic link says missing, even if it leads to a good object', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder, syncAll);
  await backend.put('abcd/good', text(10));
  await backend.flush();
  fs.symlinkSync('good', join(folder, 'abcd/link'));
  await t.throwsAsync(backend.get('abcd/link'), { code: 'OBJECT_MISSING', message: /link/ });
  t.is(await backend.stat('abcd/link'), undefined);
  t.is(await backend.put('abcd/link', text(10), { ifAbsent: true }), 'present');
});

test('anything else at the name is a failure, not missing', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder);
  fs.mkdirSync(join(folder, 'abcd/folder'), { recursive: true });
  await t.throwsAsync(backend.get('abcd/folder'), { code: 'IO' });
  if (requirement(t, { commands: ['mkfifo'] })) {
    execFileSync('mkfifo', [join(folder, 'abcd/fifo')]);
    await t.throwsAsync(backend.get('abcd/fifo'), { code: 'IO' });
  }
});

test('only the last component of the folder is created, and only when needed', async (t) => {
  const parent = temporaryFolder(t);
  const backend = openLocalBackend(join(parent, 'store'), syncAll);
  await backend.flush();
  t.deepEqual(everything(parent), []);
  await backend.put('key', text(1));
  await backend.flush();
  t.deepEqual(everything(parent), ['store', 'store/key']);
  const deep = openLocalBackend(join(parent, 'a/b'));
  await t.throwsAsync(deep.put('key', text(1)), { code: 'IO', message: /a\/b/ });
  const absent = openLocalBackend(join(parent, 'c'), { createIfMissing: false });
  await t.throwsAsync(absent.put('key', text(1)), { code: 'IO' });
  t.deepEqual(everything(parent), ['store', 'store/key']);
});

test('a shard folder that others remove meanwhile is made again', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder, syncAll);
  await backend.put('abcd/one', text(1));
  await backend.flush();
  fs.rmSync(join(folder, 'abcd'), { recursive: true });
  await backend.put('abcd/two', text(2));
  await backend.flush();
  t.deepEqual(everything(folder), ['abcd', 'abcd/two']);
});

test('an object that appears meanwhile stays', async (t) => {
  const folder = storeFolder(t);
  const [first, second] = [openLocalBackend(folder, syncAll), openLocalBackend(folder, syncAll)];
  await first.put('abcd/one', text(1), { ifAbsent: true });
  await second.put('abcd/one', text(2), { ifAbsent: true });
  await second.flush();
  await first.flush();
  t.deepEqual(await first.get('abcd/one'), text(2));
  t.deepEqual(everything(folder), ['abcd', 'abcd/one']);
});

test('what appears between looking and putting stays', async (t) => {
  for (const sync of ['group', 'none'] as const) {
    for (const options of Object.values(VARIANTS)) {
      const folder = storeFolder(t);
      const backend = openLocalBackend(folder, { ...options, sync });
      t.false(await backend.has(['abcd/one', 'abcd/two']));
      fs.mkdirSync(join(folder, 'abcd'), { recursive: true });
      fs.writeFileSync(join(folder, 'abcd/one'), text(2));
      fs.symlinkSync('nowhere', join(folder, 'abcd/two'));
      await backend.put('abcd/one', text(1), { ifAbsent: true });
      await backend.flush();
      t.deepEqual(await backend.get('abcd/one'), text(2));
      t.false(await backend.has(['abcd/two']));
      t.is(await backend.put('abcd/two', text(1), { ifAbsent: true }), 'present');
      await backend.flush();
      t.deepEqual(everything(folder), ['abcd', 'abcd/one', 'abcd/two']);
      await backend.close();
    }
  }
});

test('foreign files in the folder are not listed', async (t) => {
  const folder = storeFolder(t);
  const backend = openLocalBackend(folder, syncAll);
  await backend.put('abcd/one', text(1));
  await backend.flush();
  for (const name of ['.hidden', 'abcd/.hidden', 'abcd/x.12ab.tmp', 'abcd/sp ace']) {
    fs.writeFileSync(join(folder, name), 'x');
  }
  fs.symlinkSync('one', join(folder, 'abcd/link'));
  const keys: string[] = [];
  for await (const { key } of backend.list('')) keys.push(key);
  t.deepEqual(keys, ['abcd/one']);
});

test('a full disk fails the put and leaves nothing visible', async (t) => {
  if (!requirement(t, { root: true, commands: ['mount', 'umount'] })) return;
  const mount = temporaryFolder(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount]);
  try {
    const folder = join(mount, 'store');
    const backend = openLocalBackend(folder, syncAll);
    await backend.put('abcd/small', noise(50_000));
    const full = { code: 'TARGET_FULL', message: /large.*No space left/ };
    await t.throwsAsync(backend.put('ffff/large', noise(300_000)), full);
    await backend.flush();
    await backend.close();
    t.deepEqual(everything(folder), ['abcd', 'abcd/small']);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test.serial('a folder that may not be written is denied', async (t) => {
  const parent = temporaryFolder(t);
  fs.chmodSync(parent, 0o555);
  const backend = openLocalBackend(join(parent, 'store'));
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await t.throwsAsync(backend.put('key', text(1)), { code: 'DENIED' });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
