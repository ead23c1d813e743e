import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openHttpBackend } from '../../../store/backends/http.node.ts';
import { openLocalBackend } from '../../../store/backends/local.node.ts';
import { openLimitedBackend } from '../../../store/wrap/limit.ts';
import { openRetryingBackend } from '../../../store/wrap/retry.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { type Fault, sometimes, startFaultyProxy } from '../../helpers/faulty-proxy.ts';
import { noise, text } from '../../helpers/golden.ts';
import { NGINX_NEEDS, type Nginx, type NginxOptions, startNginx } from '../../helpers/nginx.ts';
import { missingRequirements, requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const SETTINGS = { environment: {} };

interface Served {
  readonly nginx: Nginx;
  /** The folder that is served. */
  readonly folder: string;
}

async function serve(
  t: ExecutionContext<unknown>,
  options: Omit<NginxOptions, 'folder'> = {},
): Promise<Served> {
  const folder = join(temporaryFolder(t), 'served');
  mkdirSync(folder);
  const nginx = await startNginx({ folder, isWritable: true, ...options });
  t.teardown(() => nginx.stop());
  return { nginx, folder };
}

/** What HTTP cannot do, listing, by a look into the folder behind the server. */
function withListing(backend: ObjectBackend, folder: string): ObjectBackend {
  return {
    label: backend.label,
    can: backend.can,
    get: (key, options) => backend.get(key, options),
    has: (keys, options) => backend.has(keys, options),
    stat: (key, options) => backend.stat(key, options),
    put: (key, bytes, options) => backend.put(key, bytes, options),
    flush: (options) => backend.flush(options),
    remove: (key, options) => backend.remove(key, options),
    list: (prefix, options) => openLocalBackend(folder).list(prefix, options),
    close: () => backend.close(),
  };
}

const FAULTS: readonly Fault[] = [
  { kind: 'reset', afterBytes: -1 },
  { kind: 'reset', afterBytes: 20 },
  { kind: 'truncate', afterBytes: 20 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, retryAfter: '0' },
  { kind: 'status', status: 429 },
  { kind: 'delay', milliseconds: 5 },
];
const RETRIES = {
  attemptCount: 20,
  random: () => 0.5,
  clock: { now: () => 0, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) },
};

if (missingRequirements(NGINX_NEEDS).length > 0) {
  test('conformance of stores over HTTP', (t) => {
    requirement(t, NGINX_NEEDS);
  });
} else {
  backendSuite('nginx', async (t) => {
    const { nginx, folder } = await serve(t);
    const backend = await openHttpBackend(`${nginx.url}/store`, SETTINGS);
    t.teardown(() => backend.close());
    const limited = openLimitedBackend(backend, { now: () => performance.now() });
    return withListing(limited, join(folder, 'store'));
  });
  backendSuite('nginx that makes no folders, behind faults', async (t) => {
    const { nginx, folder } = await serve(t, { makesFolders: false });
    const proxy = await startFaultyProxy(nginx.url, sometimes(0.1, FAULTS, 7));
    t.teardown(() => proxy.stop());
    const backend = await openHttpBackend(`${proxy.url}/store/`, SETTINGS);
    t.teardown(() => backend.close());
    const limited = openLimitedBackend(backend, { now: () => performance.now() });
    return withListing(openRetryingBackend(limited, RETRIES), join(folder, 'store'));
  });
}

test('folders on the way are made once they are missed, by one request each', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx } = await serve(t, { makesFolders: false });
  const backend = await openHttpBackend(`${nginx.url}/a.castr`, SETTINGS);
  t.teardown(() => backend.close());
  await Promise.all([1, 2, 3, 4].map((i) => backend.put(`abcd/${i}`, text(i))));
  await backend.put('abcd/5', text(5));
  const lines = nginx.requests();
  t.deepEqual(
    lines.filter((line) => line.startsWith('MKCOL')),
    ['MKCOL /a.castr/ 201', 'MKCOL /a.castr/abcd/ 201'],
  );
  t.is(lines.filter((line) => / 201$/.test(line) && line.startsWith('PUT')).length, 5);
});

test('with latency, more are under way until it shows no more', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, folder } = await serve(t, { latencyMs: 20 });
  writeFileSync(join(folder, 'chunk'), noise(1000));
  const backend = await openHttpBackend(nginx.url, SETTINGS);
  t.teardown(() => backend.close());
  let [underWay, most] = [0, 0];
  const counted: ObjectBackend = {
    ...withListing(backend, folder),
    get: async (key, options) => {
      most = Math.max(most, ++underWay);
      try {
        return await backend.get(key, options);
      } finally {
        underWay--;
      }
    },
  };
  const limited = openLimitedBackend(counted, { now: () => performance.now() });
  let left = 6000;
  const ask = async (): Promise<void> => {
    while (left-- > 0) await limited.get('chunk');
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: 600 }, ask));
  t.log(`${most} under way at most, ${Math.round(performance.now() - started)} ms`);
  t.true(most >= 128 && most <= 512, `${most}`);
});
