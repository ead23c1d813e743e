import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openSftpBackend, openSftpFile } from '../../../store/backends/sftp.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import type { RemoteFile } from '../../../store/remote-file.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { remoteFileSuite } from '../../conformance/remote-file.ts';
import { noise, text } from '../../helpers/golden.ts';
import { missingRequirements, requirement } from '../../helpers/requirements.ts';
import { SSH_NEEDS, type SshServer, startSshServer } from '../../helpers/sshd.ts';
import {
  makeTemporaryFolder,
  removeTree,
  temporaryFolder,
} from '../../helpers/temporary-folder.ts';

const KEY = 'abcd/object.cacnk';
const MEBIBYTE = 1024 * 1024;
const canRun = missingRequirements(SSH_NEEDS).length === 0;
let server: SshServer;

test.before(async () => {
  if (canRun) server = await startSshServer();
});
test.after.always(() => server?.stop());

function settings(more: Partial<LocationSettings> = {}): LocationSettings {
  return { environment: process.env, sshProgram: server.sshProgram, ...more };
}

async function open(
  t: ExecutionContext,
  folder: string,
  { host = 'host', at = server }: { host?: string; at?: SshServer } = {},
): Promise<ObjectBackend> {
  const url = `sftp://${host}${encodeURI(folder)}`;
  const backend = await openSftpBackend(url, settings({ sshProgram: at.sshProgram }));
  t.teardown(() => backend.close());
  return backend;
}

async function openFile(t: ExecutionContext, path: string, at = server): Promise<RemoteFile> {
  const file = await openSftpFile(`sftp://host${path}`, settings({ sshProgram: at.sshProgram }));
  t.teardown(() => file.close());
  return file;
}

async function startOwn(t: ExecutionContext): Promise<SshServer> {
  const own = await startSshServer();
  t.teardown(() => own.stop());
  return own;
}

/** Everything below a folder, as relative paths. */
function everything(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

if (canRun) {
  backendSuite('sftp', (t) => open(t, join(temporaryFolder(t), 'store')));
  remoteFileSuite('sftp file', (t) => openFile(t, join(temporaryFolder(t), 'index')));
}

test('files are made as on this machine: modes, folders, nothing left over', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const folder = join(temporaryFolder(t), 'a store, ä');
  const backend = await open(t, folder);
  await backend.put(KEY, text(5), { ifAbsent: true });
  await backend.put('top', text(5));
  await Promise.all(
    Array.from({ length: 20 }, () => backend.put(KEY, text(5), { ifAbsent: true })),
  );
  await backend.flush();
  t.deepEqual(everything(folder), ['abcd', KEY, 'top']);
  const mode = (path: string): number => fs.statSync(join(folder, path)).mode & 0o7777;
  t.deepEqual([mode(KEY), mode('abcd'), mode('')], [0o444, 0o755, 0o755]);
});

test('only the last component of the path is created', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const folder = temporaryFolder(t);
  const backend = await open(t, join(folder, 'a', 'b'));
  await t.throwsAsync(backend.put(KEY, text(5)), { code: 'IO', message: /No such file/ });
  t.deepEqual(everything(folder), []);
});

test('a symbolic link says known to be missing, wherever it leads', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const folder = join(temporaryFolder(t), 'store');
  const backend = await open(t, folder);
  await backend.put('good', text(5));
  for (const [name, target] of Object.entries({ to: 'good', away: 'nowhere' })) {
    fs.symlinkSync(target, join(folder, name));
    await t.throwsAsync(backend.get(name), { code: 'OBJECT_MISSING' });
    t.false(await backend.has([name]));
    t.is(await backend.stat(name), undefined);
  }
  t.is(await backend.put('to', text(7), { ifAbsent: true }), 'present');
  t.deepEqual(await backend.get('good'), text(5));
  fs.mkdirSync(join(folder, 'sub'));
  await t.throwsAsync(backend.get('sub'), { code: 'IO' });
});

test('what others may not read or write is denied', async (t) => {
  if (!requirement(t, { ...SSH_NEEDS, root: true })) return;
  const folder = temporaryFolder(t);
  fs.chmodSync(folder, 0o755);
  const backend = await open(t, folder, { host: 'nobody@host' });
  fs.writeFileSync(join(folder, 'secret'), 'x', { mode: 0o600 });
  await t.throwsAsync(backend.get('secret'), { code: 'DENIED' });
  await t.throwsAsync(backend.put('other', text(5)), { code: 'DENIED' });
  await t.throwsAsync(backend.put(KEY, text(5)), { code: 'DENIED' });
  t.deepEqual(everything(folder), ['secret']);
});

test('a login that is refused is denied', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const backend = await open(t, '/tmp', { host: 'no-such-user@host' });
  await t.throwsAsync(backend.get(KEY), { code: 'DENIED', message: /Permission denied/ });
});

test('a full disk is told from other failures, and leaves nothing', async (t) => {
  if (!requirement(t, { ...SSH_NEEDS, root: true, commands: ['sshd', 'mount'] })) return;
  const folder = makeTemporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
  t.teardown(() => {
    execFileSync('umount', [folder]);
    removeTree(folder);
  });
  const backend = await open(t, folder);
  await backend.put('small', text(5));
  await t.throwsAsync(backend.put(KEY, noise(2 * MEBIBYTE)), { code: 'TARGET_FULL' });
  const writer = await (await openFile(t, join(folder, 'index'))).openWriter();
  await t.throwsAsync(
    async () => {
      await writer.write(noise(2 * MEBIBYTE));
      await writer.commit();
    },
    { code: 'TARGET_FULL' },
  );
  t.deepEqual(everything(folder), ['abcd', 'small']);
});

test('64 MiB go there and back', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const file = await openFile(t, join(temporaryFolder(t), 'archive.catar'));
  const block = noise(MEBIBYTE);
  const [sent, received] = [createHash('sha256'), createHash('sha256')];
  const writer = await file.openWriter();
  for (let i = 0; i < 64; i++) {
    block[i] ^= 0xff;
    sent.update(block);
    await writer.write(block);
  }
  await writer.commit();
  let length = 0;
  for await (const piece of file.read()) {
    received.update(piece);
    length += piece.length;
  }
  t.is(length, 64 * MEBIBYTE);
  t.is(received.digest('hex'), sent.digest('hex'));
});

test('cut connections end what is under way as passing, and are replaced', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const own = await startOwn(t);
  const folder = temporaryFolder(t);
  const backend = await open(t, join(folder, 'store'), { at: own });
  await backend.put(KEY, noise(32 * MEBIBYTE));
  const file = await openFile(t, join(folder, 'store', KEY), own);
  const writer = await (await openFile(t, join(folder, 'new'), own)).openWriter();
  await writer.write(noise(100));
  const reading = (async () => {
    for await (const piece of file.read()) if (piece.length > 0) own.dropConnections();
  })();
  const gets = Promise.allSettled([1, 2, 3, 4].map(() => backend.get(KEY)));
  await t.throwsAsync(reading, { code: 'UNAVAILABLE' });
  for (const outcome of await gets) {
    if (outcome.status === 'fulfilled') t.is(outcome.value.length, 32 * MEBIBYTE);
    else t.like(outcome.reason, { code: 'UNAVAILABLE', retry: 'later' });
  }
  await t.throwsAsync(writer.commit(), { code: 'UNAVAILABLE' });
  await writer.discard();
  t.false(fs.existsSync(join(folder, 'new')));
  t.is((await backend.get(KEY)).length, 32 * MEBIBYTE);
  await own.process.stop();
  await t.throwsAsync(
    backend.flush().then(() => backend.get(KEY)),
    { code: 'UNAVAILABLE' },
  );
});

test('a path that begins with ~ is in the home folder', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const folder = fs.mkdtempSync(join(homedir(), 'casync-test-'));
  t.teardown(() => removeTree(folder));
  const backend = await open(t, `/~/${basename(folder)}`);
  await backend.put(KEY, text(5));
  await backend.flush();
  t.deepEqual(everything(folder), ['abcd', KEY]);
  const file = await openFile(t, `/~/${basename(folder)}/${KEY}`);
  t.is((await file.stat()).size, 5);
});

test('an index may be a symbolic link, and is no folder', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const folder = temporaryFolder(t);
  fs.writeFileSync(join(folder, 'real'), 'content');
  fs.symlinkSync('real', join(folder, 'link'));
  const file = await openFile(t, join(folder, 'link'));
  t.is((await file.stat()).size, 7);
  t.is(Buffer.from(await file.readRange({ offset: 3, length: 100 })).toString(), 'tent');
  await t.throwsAsync((await openFile(t, folder)).stat(), { code: 'IO' });
  await t.throwsAsync((await openFile(t, folder)).readRange({ offset: 0, length: 1 }), {
    code: 'IO',
  });
});

test('no password goes to ssh, and none into a message', async (t) => {
  const url = 'sftp://user:canary@host/x';
  for (const attempt of [openSftpFile, openSftpBackend]) {
    const error = await t.throwsAsync(attempt(url, { environment: {} }), { code: 'USAGE' });
    t.notRegex(`${error?.message} ${error?.stack}`, /canary/);
  }
});

test('URLs that ssh could take for something else are refused', async (t) => {
  for (const url of [
    'sftp://-oProxyCommand=id/x',
    'sftp://-l@host/x',
    'sftp://a%20b@host/x',
    'sftp://$(id)@host/x',
    'sftp://host:99999/x',
    'sftp://host/%00',
    'sftp://host/%2',
  ]) {
    await t.throwsAsync(
      async () => openSftpBackend(url, { environment: {} }),
      { code: 'USAGE' },
      url,
    );
  }
});
