import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openFtpBackend, openFtpFile } from '../../../store/backends/ftp.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import type { RemoteFile } from '../../../store/remote-file.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { remoteFileSuite } from '../../conformance/remote-file.ts';
import { noise, text } from '../../helpers/golden.ts';
import { missingRequirements, requirement } from '../../helpers/requirements.ts';
import {
  FTP_NEEDS,
  type FtpServer,
  type FtpServerOptions,
  startFtpServer,
} from '../../helpers/vsftpd.ts';

const KEY = 'abcd/object.cacnk';
const canRun = missingRequirements(FTP_NEEDS).length === 0;
let server: FtpServer;

test.before(async () => {
  if (canRun) server = await startFtpServer();
});
test.after.always(() => server?.stop());

interface Place {
  /** On this machine. */
  readonly folder: string;
  readonly url: string;
}

function newPlace(at: FtpServer = server, credentials = ''): Place {
  const folder = fs.mkdtempSync(join(at.folder, 'folder-'));
  fs.chmodSync(folder, 0o777);
  const url = `ftp://${credentials}127.0.0.1:${at.port}/files/${basename(folder)}`;
  return { folder, url };
}

async function openAt(
  t: ExecutionContext,
  url: string,
  settings: Partial<LocationSettings> = {},
): Promise<ObjectBackend> {
  const backend = await openFtpBackend(url, { environment: {}, ...settings });
  t.teardown(() => backend.close());
  return backend;
}

async function openFile(
  t: ExecutionContext,
  url: string,
  settings: Partial<LocationSettings> = {},
): Promise<RemoteFile> {
  const file = await openFtpFile(url, { environment: {}, ...settings });
  t.teardown(() => file.close());
  return file;
}

async function startOwn(t: ExecutionContext, options: FtpServerOptions = {}): Promise<FtpServer> {
  const own = await startFtpServer(options);
  t.teardown(() => own.stop());
  return own;
}

if (canRun) {
  backendSuite('ftp', (t) => openAt(t, `${newPlace().url}/store`));
  remoteFileSuite('ftp file', (t) => openFile(t, `${newPlace().url}/index.caibx`));
}

test('files that are there and may not be read are denied, not missing', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const { folder, url } = newPlace();
  const backend = await openAt(t, url);
  await backend.put('key', text(5));
  fs.chmodSync(join(folder, 'key'), 0);
  await t.throwsAsync(backend.get('key'), { code: 'DENIED' });
  fs.chmodSync(folder, 0o555);
  await t.throwsAsync(backend.put('other', text(5)), { code: 'DENIED' });
  await t.throwsAsync(backend.put(KEY, text(5)), { code: 'DENIED' });
});

test('a password that is wrong is denied, and told to nobody', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const own = await startOwn(t, { password: 'right-secret' });
  const { url } = newPlace(own, 'anonymous:wrong-secret@');
  const backend = await openAt(t, url);
  const error = await t.throwsAsync(backend.get(KEY), { code: 'DENIED' });
  t.false(JSON.stringify([error?.message, backend.label, String(error?.stack)]).includes('secret'));
  const good = await openAt(t, newPlace(own, 'anonymous:right%2Dsecret@').url);
  t.is(await good.put(KEY, text(5)), 'stored');
  const bySettings = await openAt(t, newPlace(own).url, { password: 'right-secret' });
  t.is(await bySettings.put(KEY, text(5)), 'stored');
});

test('a server that lets few in is served with few connections', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const own = await startOwn(t, { configuration: ['max_per_ip=2'] });
  const backend = await openAt(t, `${newPlace(own).url}/store`, { concurrency: 20 });
  await backend.put('first', text(1));
  const names = Array.from({ length: 100 }, (_, i) => `abcd/object-${i}`);
  await Promise.all(names.map((key, i) => backend.put(key, noise(10, i))));
  const found = await Promise.all(names.map((key) => backend.get(key)));
  t.deepEqual(found[77], noise(10, 77));
});

test('cut connections end what is under way as passing, and are replaced', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const own = await startOwn(t);
  const { url } = newPlace(own);
  const backend = await openAt(t, url);
  await backend.put(KEY, noise(40_000_000));
  const gets = Array.from({ length: 4 }, () => backend.get(KEY));
  const file = await openFile(t, `${url}/${KEY}`);
  await t.throwsAsync(
    async () => {
      for await (const piece of file.read()) if (piece.length > 0) own.dropConnections();
    },
    { code: 'UNAVAILABLE' },
  );
  const outcomes = await Promise.allSettled(gets);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') t.is(outcome.value.length, 40_000_000);
    else t.like(outcome.reason, { code: 'UNAVAILABLE', retry: 'later' });
  }
  t.true(outcomes.some(({ status }) => status === 'rejected'));
  // Connections that lay idle are found to be cut one by one.
  for (let left = 20; ; left--) {
    const found = await backend.get(KEY).catch((error) => {
      if (left === 0) throw error;
    });
    if (found === undefined) continue;
    t.is(found.length, 40_000_000);
    break;
  }
});

test('a server that is gone is unavailable', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const own = await startOwn(t);
  const { url } = newPlace(own);
  const backend = await openAt(t, url);
  await backend.put(KEY, text(5));
  const writer = await (await openFile(t, `${url}/file`)).openWriter();
  await own.stop();
  await t.throwsAsync(backend.get(KEY), { code: 'UNAVAILABLE' });
  await t.throwsAsync(backend.get(KEY), { code: 'UNAVAILABLE' });
  await t.throwsAsync(
    async () => {
      for (let i = 0; i < 100; i++) await writer.write(noise(100_000));
      await writer.commit();
    },
    { code: 'UNAVAILABLE' },
  );
});

test('a signal ends a transfer, and the next one works', async (t) => {
  if (!requirement(t, FTP_NEEDS)) return;
  const backend = await openAt(t, newPlace().url, { concurrency: 1 });
  await backend.put(KEY, noise(1000));
  const controller = new AbortController();
  const { signal } = controller;
  const reason = new Error('stopped');
  const gets = Promise.allSettled([backend.get(KEY, { signal }), backend.get(KEY, { signal })]);
  controller.abort(reason);
  for (const outcome of await gets) t.like(outcome, { status: 'rejected', reason });
  t.deepEqual(await backend.get(KEY), noise(1000));
});

test('authorities of ours ask for TLS', async (t) => {
  if (!requirement(t, { ...FTP_NEEDS, commands: ['vsftpd', 'setpriv', 'openssl'] })) return;
  const own = await startOwn(t, { tls: true });
  const { url } = newPlace(own);
  await t.throwsAsync((await openAt(t, url)).get(KEY), { code: 'DENIED' });
  const settings = { certificateAuthorities: own.certificate ?? '' };
  const backend = await openAt(t, url, settings);
  await backend.put(KEY, noise(100_000));
  t.deepEqual(await backend.get(KEY), noise(100_000));
  const others = await startOwn(t, { tls: true });
  const wrong = await openAt(t, newPlace(others).url, settings);
  await t.throwsAsync(wrong.get(KEY), { code: 'DENIED' });
});

test('URLs that would break a line of the protocol are refused', async (t) => {
  for (const url of [
    'ftp://host/a%0d%0aDELE%20b',
    'ftp://host/%00',
    'ftp://host/%zz',
    'ftp://h:0/',
  ]) {
    await t.throwsAsync(openFtpFile(url, { environment: {} }), { code: 'USAGE' }, url);
  }
});
