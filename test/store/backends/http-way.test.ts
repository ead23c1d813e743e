/** How HTTP storage gets to its server: addresses, logins, proxies, certificates. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { inspect } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openHttpBackend } from '../../../store/backends/http.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { startConnectProxy } from '../../helpers/connect-proxy.ts';
import { text } from '../../helpers/golden.ts';
import {
  makeCertificates,
  NGINX_NEEDS,
  type Nginx,
  type NginxOptions,
  startNginx,
  type TestCertificates,
} from '../../helpers/nginx.ts';
import { requirement } from '../../helpers/requirements.ts';
import { answer, startScriptedServer } from '../../helpers/scripted-server.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

async function open(
  t: ExecutionContext,
  url: string,
  settings: Partial<LocationSettings> = {},
): Promise<ObjectBackend> {
  const backend = await openHttpBackend(url, { environment: {}, timeoutMs: 5000, ...settings });
  t.teardown(() => backend.close());
  return backend;
}

async function serve(t: ExecutionContext, options: Partial<NginxOptions>): Promise<Nginx> {
  const folder = join(temporaryFolder(t), 'served');
  mkdirSync(folder);
  writeFileSync(join(folder, 'key'), text(5));
  const nginx = await startNginx({ folder, isWritable: true, ...options });
  t.teardown(() => nginx.stop());
  return nginx;
}

const LOGIN = { user: 'al@ice', password: 'canary p/w%?#' };
const URL_LOGIN = 'al%40ice:canary%20p%2Fw%25%3F%23@';

test('a login comes from the URL, the settings or netrc, in this order', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const nginx = await serve(t, { login: LOGIN });
  const home = temporaryFolder(t);
  const netrc = join(home, '.netrc');
  const line = `login ${LOGIN.user} password "${LOGIN.password}"\n`;
  writeFileSync(netrc, `machine other login x password y\nmachine 127.0.0.1 ${line}`);
  const wrong = join(home, 'wrong');
  writeFileSync(wrong, `machine other ${line}default ${line}`);
  const withLogin = nginx.url.replace('//', `//${URL_LOGIN}`);
  const good: readonly (readonly [string, Partial<LocationSettings>])[] = [
    [withLogin, {}],
    [withLogin, { user: 'eve', password: 'evil', headers: { Authorization: 'nonsense' } }],
    [nginx.url, { ...LOGIN, environment: { NETRC: wrong } }],
    [nginx.url, { environment: { HOME: home } }],
    [nginx.url, { environment: { NETRC: netrc, HOME: '/nowhere' } }],
  ];
  for (const [url, settings] of good) {
    t.deepEqual(await (await open(t, url, settings)).get('key'), text(5));
  }
  for (const settings of [{}, { environment: { NETRC: wrong } }, { token: 'x' }]) {
    const backend = await open(t, nginx.url, settings);
    await t.throwsAsync(backend.get('key'), { code: 'DENIED', message: /401 Unauthorized/ });
  }
  await t.throwsAsync(
    openHttpBackend(nginx.url, { environment: { NETRC: join(home, 'none') } }).then((b) =>
      b.get('key'),
    ),
    { code: 'DENIED' },
  );
});

test('a token and further headers are sent', async (t) => {
  const server = await startScriptedServer(t, () => answer(200));
  const backend = await open(t, server.url, { token: 'abc', headers: { 'X-Key': 'value' } });
  await backend.get('key');
  t.like(server.requests[0].headers, { authorization: 'Bearer abc', 'x-key': 'value' });
  const other = await open(t, server.url, { token: 'abc', headers: { Authorization: 'Own way' } });
  await other.get('key');
  t.is(server.requests[1].headers.authorization, 'Own way');
});

test('headers that would be lines of their own are refused', async (t) => {
  for (const [name, value] of [
    ['X', 'a\r\nY: canary'],
    ['X\r\nY', 'canary'],
    ['X Y', 'canary'],
    ['', 'canary'],
    ['X', 'canary\u{1f600}'],
  ]) {
    const opened = openHttpBackend('http://h/', { environment: {}, headers: { [name]: value } });
    const error = await t.throwsAsync(opened, { code: 'USAGE' });
    t.false(error.message.includes('canary'));
  }
});

test('localhost is found on either family', async (t) => {
  for (const host of ['127.0.0.1', '::1']) {
    const server = await startScriptedServer(t, () => answer(200, 'ok'), host).catch(
      () => undefined,
    );
    if (server === undefined) {
      t.log(`no ${host} here`);
      continue;
    }
    const backend = await open(t, `http://localhost:${server.port}`);
    t.is((await backend.get('key')).length, 2);
    t.is((await (await open(t, server.url)).get('key')).length, 2);
  }
});

test('where nobody listens or nothing has the name, the error says so', async (t) => {
  const server = await startScriptedServer(t, () => undefined);
  const closed = createServer() as Server;
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const address = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  t.not(server.port, 0);
  const port = typeof address === 'object' ? address?.port : 0;
  for (const host of ['127.0.0.1', 'localhost']) {
    const backend = await open(t, `http://${host}:${port}`);
    const error = await t.throwsAsync(backend.get('key'), { code: 'UNAVAILABLE' });
    t.is(error.message, `http://${host}:${port}/key: get: Connection refused`);
    t.like(error, { retry: 'later' });
  }
});

test('open requests go through the proxy with their URL, encrypted ones through a tunnel', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const certificates = makeCertificates(temporaryFolder(t));
  const [plain, secure] = [await serve(t, {}), await serve(t, { tls: { certificates } })];
  const authorization = `Basic ${Buffer.from('p:canary/w').toString('base64')}`;
  const proxy = await startConnectProxy(t, authorization);
  const proxyUrl = `http://p:canary%2Fw@127.0.0.1:${proxy.port}`;
  const own = { certificateAuthorities: certificates.authority };
  for (const settings of [
    { environment: { http_proxy: proxyUrl, HTTPS_PROXY: proxyUrl } },
    { proxy: proxyUrl },
    { environment: { all_proxy: proxyUrl } },
  ]) {
    for (const nginx of [plain, secure]) {
      const backend = await open(t, nginx.url, { ...own, environment: {}, ...settings });
      t.deepEqual(await backend.get('key'), text(5));
      await backend.put('new', text(50));
      t.deepEqual(
        await backend.get('new', { range: { offset: 1, length: 2 } }),
        text(50).slice(1, 3),
      );
      await backend.remove('new');
      await t.throwsAsync(backend.get('new'), { code: 'OBJECT_MISSING' });
    }
  }
  t.deepEqual(
    new Set(proxy.requests.filter((line) => line.startsWith('CONNECT'))),
    new Set([`CONNECT localhost:${secure.port}`]),
  );
  t.true(proxy.requests.includes(`GET ${plain.url}/key`));
  const before = proxy.requests.length;
  const environment = { http_proxy: proxyUrl, no_proxy: '*' };
  t.deepEqual(await (await open(t, plain.url, { environment })).get('key'), text(5));
  t.is(proxy.requests.length, before);
});

test('a proxy that refuses, or is not there, is named as the reason', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const certificates = makeCertificates(temporaryFolder(t));
  const [plain, secure] = [await serve(t, {}), await serve(t, { tls: { certificates } })];
  const { port } = await startConnectProxy(t, 'Basic never');
  const own = { certificateAuthorities: certificates.authority };
  for (const nginx of [plain, secure]) {
    const backend = await open(t, nginx.url, {
      ...own,
      proxy: `http://u:canary@127.0.0.1:${port}`,
    });
    const error = await t.throwsAsync(backend.get('key'), { code: 'DENIED' });
    t.regex(error.message, /407 Proxy Authentication Required/);
    t.false(inspect(error, { depth: 10 }).includes('canary'));
  }
  const socks = openHttpBackend(plain.url, { environment: {}, proxy: 'socks5://u:canary@h:1' });
  const refusal = await t.throwsAsync(socks, { code: 'UNSUPPORTED' });
  t.false(refusal.message.includes('canary'));
});

async function serveSecurely(
  t: ExecutionContext,
  wantsClient: boolean,
): Promise<{ nginx: Nginx; certificates: TestCertificates }> {
  const certificates = makeCertificates(temporaryFolder(t));
  return { certificates, nginx: await serve(t, { tls: { certificates, wantsClient } }) };
}

test('only servers with a certificate of a known authority are trusted', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, certificates } = await serveSecurely(t, false);
  const { authority } = certificates;
  for (const settings of [
    { certificateAuthorities: authority },
    { environment: { SSL_CERT_FILE: authority } },
    { environment: { NODE_EXTRA_CA_CERTS: authority } },
  ]) {
    t.deepEqual(await (await open(t, nginx.url, settings)).get('key'), text(5));
  }
  const stranger = await open(t, nginx.url);
  await t.throwsAsync(stranger.get('key'), { code: 'IO', message: /nobody who is trusted/ });
  const misnamed = makeCertificates(temporaryFolder(t), 'DNS:other.example');
  const other = await serve(t, { tls: { certificates: misnamed } });
  const named = await open(t, other.url, { certificateAuthorities: misnamed.authority });
  await t.throwsAsync(named.get('key'), { code: 'IO', message: /for another name/ });
  const open443 = await open(t, nginx.url.replace('https:', 'http:'));
  await t.throwsAsync(open443.get('key'), { code: 'IO', message: /400 Bad Request/ });
});

test('a client shows its certificate to its server, and to no other', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, certificates } = await serveSecurely(t, true);
  const { authority: certificateAuthorities, clientCertificate, clientKey } = certificates;
  const settings = { certificateAuthorities, clientCertificate, clientKey };
  t.deepEqual(await (await open(t, nginx.url, settings)).get('key'), text(5));
  const nobody = await open(t, nginx.url, { certificateAuthorities });
  await t.throwsAsync(nobody.get('key'), { code: 'IO', message: /400 Bad Request/ });
  const leading = await startScriptedServer(t, () =>
    answer(302, '', { Location: `${nginx.url}/key` }),
  );
  const led = await open(t, leading.url, settings);
  await t.throwsAsync(led.get('key'), { code: 'IO', message: /400 Bad Request/ });
});

test('an encrypted connection does not lead to an open one', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const certificates = makeCertificates(temporaryFolder(t));
  const plain = await serve(t, {});
  const configuration = [`location = /led { return 302 ${plain.url}/key; }`];
  const secure = await serve(t, { tls: { certificates }, configuration });
  const settings = { certificateAuthorities: certificates.authority };
  const backend = await open(t, secure.url, settings);
  await t.throwsAsync(backend.get('led'), { code: 'IO', message: /encrypted to an open/ });
  t.deepEqual(plain.requests(), []);
});

test('files that cannot be read are named', async (t) => {
  const folder = temporaryFolder(t);
  const empty = join(folder, 'empty');
  writeFileSync(empty, 'canary');
  for (const settings of [
    { certificateAuthorities: join(folder, 'none') },
    { clientCertificate: join(folder, 'none') },
    { clientCertificate: empty },
  ]) {
    const opened = openHttpBackend('https://localhost:1/', { environment: {}, ...settings });
    const error = await t.throwsAsync(opened, { code: 'IO' });
    t.true(error.message.includes(folder));
    t.false(inspect(error, { depth: 10 }).includes('canary'));
  }
});

test('no secret is in any label or error', async (t) => {
  const secrets: Partial<LocationSettings> = {
    token: 'canary',
    password: 'canary',
    headers: { 'X-Key': 'canary' },
  };
  let status = 0;
  const server = await startScriptedServer(t, () =>
    status === 0
      ? { bytes: 'canary', ending: 'end' }
      : answer(status, 'canary', { Location: '/?canary' }),
  );
  const url = `${server.url.replace('//', '//user:canary@')}/store?token=canary;canary`;
  const backend = await open(t, url, secrets);
  t.is(backend.label, `${server.url}/store`);
  for (status of [0, 302, 401, 403, 404, 418, 429, 500]) {
    for (const action of [
      () => backend.get('key'),
      async () => backend.has(['key']),
      () => backend.stat('key'),
      () => backend.put('key', text(5)),
      () => backend.remove('key'),
    ]) {
      const error = await action().then(
        () => undefined,
        (caught: unknown) => caught,
      );
      t.false(inspect(error, { depth: 10, showHidden: true }).includes('canary'), inspect(error));
    }
  }
});
