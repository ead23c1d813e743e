import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  type Fault,
  type FaultChoice,
  type FaultyProxy,
  firstRequests,
  sometimes,
  startFaultyProxy,
} from './faulty-proxy.ts';
import { NGINX_NEEDS, type Nginx, startNginx } from './nginx.ts';
import { requirement } from './requirements.ts';
import { temporaryFolder } from './temporary-folder.ts';

const CONTENT = 'x'.repeat(1000);

async function startBoth(
  t: ExecutionContext,
  choice: FaultChoice,
): Promise<{ nginx: Nginx; proxy: FaultyProxy }> {
  const folder = join(temporaryFolder(t), 'store');
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), CONTENT);
  const nginx = await startNginx({ folder, isWritable: true });
  t.teardown(() => nginx.stop());
  const proxy = await startFaultyProxy(nginx.url, choice);
  t.teardown(() => proxy.stop());
  return { nginx, proxy };
}

test('what passes the proxy without a fault arrives', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, proxy } = await startBoth(t, () => undefined);
  t.is(await (await fetch(`${proxy.url}/file`)).text(), CONTENT);
  const put = await fetch(`${proxy.url}/new/file`, { method: 'PUT', body: 'new' });
  t.is(put.status, 201);
  t.is(await (await fetch(`${nginx.url}/new/file`)).text(), 'new');
  t.is((await fetch(`${proxy.url}/none`)).status, 404);
  t.is(proxy.requests.length, 3);
  t.is(proxy.faultCount(), 0);
  t.deepEqual(nginx.requests(), [
    'GET /file 200',
    'PUT /new/file 201',
    'GET /new/file 200',
    'GET /none 404',
  ]);
});

test('faults happen to the requests that they are for', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { proxy } = await startBoth(t, () => undefined);
  const faults: readonly Fault[] = [
    { kind: 'reset', afterBytes: -1 },
    { kind: 'reset', afterBytes: 500 },
    { kind: 'truncate', afterBytes: 500 },
  ];
  for (const fault of faults) {
    const first = proxy.requests.length;
    proxy.setFaults(({ number }) => (number === first ? fault : undefined));
    await t.throwsAsync(async () => (await fetch(`${proxy.url}/file`)).text());
    t.is(await (await fetch(`${proxy.url}/file`)).text(), CONTENT);
  }
  const first = proxy.requests.length;
  const busy: Fault = { kind: 'status', status: 503, retryAfter: '1' };
  proxy.setFaults(({ number, ...rest }) =>
    firstRequests(1, busy)({ ...rest, number: number - first }),
  );
  const answer = await fetch(`${proxy.url}/file`);
  t.is(answer.status, 503);
  t.is(answer.headers.get('Retry-After'), '1');
  t.is(proxy.faultCount(), 4);
});

test('random faults are the same for the same seed', (t) => {
  const draw = (seed: number): readonly boolean[] => {
    const choose = sometimes(0.5, [{ kind: 'hang' }], seed);
    return Array.from({ length: 100 }, (_, number) => {
      return choose({ number, method: 'GET', target: '/' }) !== undefined;
    });
  };
  t.deepEqual(draw(1), draw(1));
  t.notDeepEqual(draw(1), draw(2));
});
