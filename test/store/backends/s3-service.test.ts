/** What services say that a single gateway never does, by a server that says it. */
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openS3Backend } from '../../../store/backends/s3.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { text } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code?: string;
  readonly region?: string;
}

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** A server that answers as told, and the requests that it got. */
async function startService(t: ExecutionContext, answer: (asked: Asked) => Answer) {
  const requests: Asked[] = [];
  const server = http.createServer((request, response) => {
    const { method = '', url: target = '', headers } = request;
    const asked = { method, target, headers };
    requests.push(asked);
    request.resume().once('end', () => {
      const { status, headers: given = {}, code, region = '' } = answer(asked);
      const body = code && `<Error><Code>${code}</Code><Region>${region}</Region></Error>`;
      response.writeHead(status, { ...given }).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return { url: `s3+http://127.0.0.1:${address.port}/bucket/store`, requests };
}

const KEYS: LocationSettings = {
  environment: { HOME: '/nonexistent' },
  accessKeyId: 'AK',
  secretAccessKey: 'canary',
};

const scopeOf = ({ headers }: Asked): string =>
  /Credential=(\S+),/.exec(headers.authorization ?? '')?.[1] ?? '';

test('a service that says where the bucket is, is asked again with that region', async (t) => {
  const teachings: readonly Answer[] = [
    { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-3' } },
    { status: 400, code: 'AuthorizationHeaderMalformed', region: 'eu-west-3' },
    {
      status: 307,
      code: 'TemporaryRedirect',
      headers: { location: 'http://127.0.0.1:1/', 'x-amz-bucket-region': 'eu-west-3' },
    },
  ];
  for (const teaching of teachings) {
    const { url, requests } = await startService(t, (asked) =>
      scopeOf(asked).includes('/eu-west-3/') ? { status: 200 } : teaching,
    );
    const backend = await openS3Backend(url, KEYS);
    t.is(await backend.put('key', text(3)), 'stored');
    t.is(await backend.put('key', text(3)), 'stored');
    t.deepEqual(
      requests.map((asked) => scopeOf(asked).split('/')[2]),
      ['us-east-1', 'eu-west-3', 'eu-west-3'],
    );
    await backend.close();
  }
});

test('redirects are not followed: nobody else sees a signature', async (t) => {
  const other = await startService(t, () => ({ status: 200 }));
  const location = other.url.replace('s3+', '');
  const { url } = await startService(t, () => ({ status: 307, headers: { location } }));
  const backend = await openS3Backend(url, KEYS);
  await t.throwsAsync(backend.get('key'), { code: 'IO', message: /307/ });
  t.deepEqual(other.requests, []);
  await backend.close();
});

test('a clock that is wrong is made up for; one that is odd is told of', async (t) => {
  const there = new Date(Date.now() - 3 * 3600_000);
  const headers = { date: there.toUTCString() };
  const { url, requests } = await startService(t, (asked) => {
    const hour = there.toISOString().replaceAll(/[-:]/g, '').slice(0, 11);
    const isRight = `${asked.headers['x-amz-date']}`.startsWith(hour);
    return isRight ? { status: 200 } : { status: 403, code: 'RequestTimeTooSkewed', headers };
  });
  const backend = await openS3Backend(url, KEYS);
  t.is(await backend.put('key', text(3)), 'stored');
  t.is(requests.length, 2);
  await backend.close();
  const odd = await startService(t, () => ({ status: 403, code: 'RequestTimeTooSkewed', headers }));
  const refused = await openS3Backend(odd.url, KEYS);
  await t.throwsAsync(refused.put('key', text(3)), {
    code: 'DENIED',
    message: /clock of this machine is \d+ seconds ahead of/,
  });
  await refused.close();
});

test('a service without conditions is asked before each put', async (t) => {
  let isThere = false;
  const { url, requests } = await startService(t, ({ method, headers }) => {
    if (headers['if-none-match'] !== undefined) return { status: 501, code: 'NotImplemented' };
    if (method === 'PUT') isThere = true;
    if (!isThere) return { status: 404, code: 'NoSuchKey' };
    return {
      status: method === 'GET' ? 206 : 200,
      headers: { 'content-range': 'bytes 0-0/3', 'content-length': method === 'GET' ? '0' : '0' },
    };
  });
  const backend = await openS3Backend(url, KEYS);
  t.is(await backend.put('key', text(3), { ifAbsent: true }), 'stored');
  t.is(await backend.put('key', text(3), { ifAbsent: true }), 'present');
  t.deepEqual(
    requests.map(({ method }) => method),
    ['PUT', 'GET', 'PUT', 'GET'],
  );
  await backend.close();
});

test('a conflict says that something is there only if that is seen', async (t) => {
  const { url } = await startService(t, ({ method }) =>
    method === 'PUT'
      ? { status: 409, code: 'ConditionalRequestConflict' }
      : { status: 404, code: 'NoSuchKey' },
  );
  const backend = await openS3Backend(url, KEYS);
  const error = await t.throwsAsync(backend.put('key', text(3), { ifAbsent: true }));
  t.like(error, { code: 'UNAVAILABLE', retry: 'later' });
  await backend.close();
});

test('credentials come from profiles, and are asked for again when they have expired', async (t) => {
  const folder = temporaryFolder(t);
  const [program, count] = [join(folder, 'credentials.sh'), join(folder, 'count')];
  const expiration = new Date(Date.now() + 3600_000).toISOString();
  writeFileSync(
    program,
    `#!/bin/sh\necho x >> ${count}\nn=$(wc -l < ${count})\nprintf '{"Version":1,"AccessKeyId":"AK%s","SecretAccessKey":"canary","SessionToken":"T%s","Expiration":"${expiration}"}' $n $n\n`,
  );
  chmodSync(program, 0o755);
  const configuration = join(folder, 'config');
  writeFileSync(
    configuration,
    `[default]\nregion = nowhere\n[profile mine]\nregion = eu-north-1\ncredential_process = ${program}\n`,
  );
  const { url, requests } = await startService(t, (asked) =>
    scopeOf(asked).startsWith('AK1/') && requests.length > 1
      ? { status: 400, code: 'ExpiredToken' }
      : { status: 200 },
  );
  const environment = {
    AWS_CONFIG_FILE: configuration,
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
    AWS_ACCESS_KEY_ID: 'of-the-environment',
    AWS_SECRET_ACCESS_KEY: 'canary',
  };
  const backend = await openS3Backend(url, { environment, profile: 'mine' });
  for (let i = 0; i < 3; i++) t.is(await backend.put('key', text(3)), 'stored');
  t.true(requests.every((asked) => scopeOf(asked).includes('/eu-north-1/')));
  t.deepEqual(
    requests
      .map((asked) => `${scopeOf(asked).split('/')[0]} ${asked.headers['x-amz-security-token']}`)
      .slice(0, 2),
    ['AK1 T1', 'AK1 T1'],
  );
  t.is(scopeOf(requests.at(-1) ?? requests[0]).split('/')[0], 'AK2');
  await backend.close();
});

test('credentials of the environment are used, and those that are missing are told of', async (t) => {
  const { url, requests } = await startService(t, () => ({ status: 200 }));
  const environment = {
    HOME: '/nonexistent',
    AWS_ACCESS_KEY_ID: 'AKE',
    AWS_SECRET_ACCESS_KEY: 'canary',
    AWS_REGION: 'sa-east-1',
  };
  const backend = await openS3Backend(url, { environment });
  await backend.put('key', text(3));
  t.regex(scopeOf(requests[0]), /^AKE\/\d{8}\/sa-east-1\/s3\/aws4_request$/);
  await backend.close();
  const none = await openS3Backend(url, {
    environment: { AWS_CONFIG_FILE: '/nonexistent', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' },
    profile: 'nobody',
  });
  await t.throwsAsync(none.get('key'), { code: 'DENIED', message: /No credentials in/ });
  await none.close();
});
