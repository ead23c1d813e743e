/** Where HTTP storage may be led, and what it takes along. */
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openHttpBackend } from '../../../store/backends/http.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { text } from '../../helpers/golden.ts';
import {
  answer,
  type ScriptedAnswer,
  type ScriptedServer,
  startScriptedServer,
} from '../../helpers/scripted-server.ts';

const SECRETS: Partial<LocationSettings> = {
  token: 'canary-token',
  headers: { 'X-Api-Key': 'canary-key' },
};

async function open(
  t: ExecutionContext,
  url: string,
  settings: Partial<LocationSettings> = {},
): Promise<ObjectBackend> {
  const backend = await openHttpBackend(url, { environment: {}, ...settings });
  t.teardown(() => backend.close());
  return backend;
}

function redirect(status: number, location: string): ScriptedAnswer {
  return answer(status, 'it is elsewhere', { Location: location });
}

/** A server whose answers need its own URL. */
async function startSelfish(
  t: ExecutionContext,
  script: (target: string, method: string, self: ScriptedServer) => ScriptedAnswer,
): Promise<ScriptedServer> {
  const server: ScriptedServer = await startScriptedServer(t, ({ target, method }) =>
    script(target, method, server),
  );
  return server;
}

test('redirects lead to the object, relative or absolute', async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const server = await startSelfish(t, (target, _method, { url }) => {
      switch (target) {
        case '/store/a':
          return redirect(status, 'b?sig=x');
        case '/store/b?sig=x':
          return redirect(status, '/c');
        case '/c':
          return redirect(status, `${url}/d#fragment`);
        default:
          return answer(200, target);
      }
    });
    const backend = await open(t, `${server.url}/store`);
    t.is(Buffer.from(await backend.get('a')).toString(), '/d');
    t.true(await backend.has(['a']));
  }
});

test('another server gets the range, but neither credentials nor headers of the place', async (t) => {
  const other = await startScriptedServer(t, () =>
    answer(206, 'b', { 'Content-Range': 'bytes 1-1/3' }),
  );
  const server = await startScriptedServer(t, () => redirect(302, `${other.url}/x`));
  const loggedIn = server.url.replace('//', '//user:canary-password@');
  for (const [url, settings] of [
    [server.url, SECRETS],
    [loggedIn, {}],
  ] as const) {
    const backend = await open(t, url, settings);
    t.is((await backend.get('key', { range: { offset: 1, length: 1 } })).length, 1);
  }
  for (const { headers } of server.requests) t.regex(JSON.stringify(headers), /authorization/);
  t.is(other.requests.length, 2);
  for (const { headers } of other.requests) {
    t.is(headers.range, 'bytes=1-1');
    t.notRegex(JSON.stringify(headers), /canary|authorization|x-api-key/i);
    t.is(headers.host, new URL(other.url).host);
  }
});

test('on the same server credentials go along', async (t) => {
  const server = await startScriptedServer(t, ({ target }) =>
    target === '/a' ? redirect(302, '/b') : answer(200, 'ok'),
  );
  const backend = await open(t, server.url, SECRETS);
  t.is((await backend.get('a')).length, 2);
  for (const { headers } of server.requests) {
    t.is(headers.authorization, 'Bearer canary-token');
    t.is(headers['x-api-key'], 'canary-key');
  }
});

test('a login in the URL of a redirect is not used', async (t) => {
  const server = await startSelfish(t, (target, _method, { url }) =>
    target === '/a' ? redirect(302, url.replace('//', '//eve:evil@').concat('/b')) : answer(200),
  );
  const backend = await open(t, server.url);
  await backend.get('a');
  t.false('authorization' in server.requests[1].headers);
});

test('loops, other schemes and nonsense end with an error', async (t) => {
  for (const [location, message] of [
    ['/a', /too often/],
    ['ftp://127.0.0.1/a', /something else than HTTP/],
    ['file:///etc/passwd', /something else than HTTP/],
    ['http://', /no URL/],
  ] as const) {
    const server = await startScriptedServer(t, () => redirect(302, location));
    const backend = await open(t, server.url);
    await t.throwsAsync(backend.get('a'), { code: 'IO', message });
    t.true(server.requests.length <= 6);
  }
});

test('five redirects are followed, six are not', async (t) => {
  const server = await startScriptedServer(t, ({ target }) => {
    const left = Number(target.slice(1));
    return left === 0 ? answer(200, 'ok') : redirect(302, `/${left - 1}`);
  });
  const backend = await open(t, server.url);
  t.is((await backend.get('5')).length, 2);
  await t.throwsAsync(backend.get('6'), { code: 'IO' });
});

test('a redirect without a place is just a status', async (t) => {
  const server = await startScriptedServer(t, () => answer(302));
  const backend = await open(t, server.url);
  await t.throwsAsync(backend.get('a'), { code: 'IO', message: /302 Found/ });
});

test('puts and removals follow only where the method stays the same', async (t) => {
  for (const status of [307, 308]) {
    const server = await startScriptedServer(t, ({ target }) =>
      target === '/a' ? redirect(status, '/b') : answer(201),
    );
    const backend = await open(t, server.url);
    t.is(await backend.put('a', text(100)), 'stored');
    await backend.remove('a');
    t.deepEqual(
      server.requests.map(({ method, target, body }) => [method, target, body.length]),
      [
        ['PUT', '/a', 100],
        ['PUT', '/b', 100],
        ['DELETE', '/a', 0],
        ['DELETE', '/b', 0],
      ],
    );
  }
  for (const status of [301, 302, 303]) {
    const server = await startScriptedServer(t, () => redirect(status, '/b'));
    const backend = await open(t, server.url);
    await t.throwsAsync(backend.put('a', text(100)), { code: 'IO' });
    await t.throwsAsync(backend.remove('a'), { code: 'IO' });
    t.is(server.requests.length, 2);
  }
});

test('a redirect with a large page is followed, too', async (t) => {
  const server = await startScriptedServer(t, ({ target }) =>
    target === '/a' ? answer(302, 'x'.repeat(1_000_000), { Location: '/b' }) : answer(200, 'ok'),
  );
  const backend = await open(t, server.url);
  t.is((await backend.get('a')).length, 2);
});
