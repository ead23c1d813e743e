/**
 * What commands say and leave behind when servers fail: the exit status (spec/exit-codes.md), a message
 * that names the place, and no index that lacks a chunk.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeIndex } from '../../formats/index-codec.ts';
import { type FaultChoice, type FaultyProxy, startFaultyProxy } from '../helpers/faulty-proxy.ts';
import { noise } from '../helpers/golden.ts';
import { NGINX_NEEDS, type Nginx, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Scene {
  /** Current folder of the commands, with `blob`; the server gives away `served`, through the proxy. */
  readonly cwd: string;
  readonly nginx: Nginx;
  readonly proxy: FaultyProxy;
  readonly run: (...args: readonly string[]) => Promise<RunResult>;
}

const BLOB = noise(1_000_000);
/** Names of chunks of a store. */
const CHUNK = /\.cacnk$/;

/** With `x.caibx` and `s.castr` on the server. */
async function openScene(t: ExecutionContext): Promise<Scene | undefined> {
  if (!requirement(t, NGINX_NEEDS)) return undefined;
  t.timeout(120_000);
  const cwd = temporaryFolder(t);
  fs.chmodSync(cwd, 0o755);
  fs.writeFileSync(join(cwd, 'blob'), BLOB);
  fs.mkdirSync(join(cwd, 'served'));
  fs.chmodSync(join(cwd, 'served'), 0o777);
  const config = join(cwd, 'casync.toml');
  fs.writeFileSync(config, '[[location]]\nmatch = "**"\nattempts = 2\n');
  const nginx = await startNginx({ folder: join(cwd, 'served'), isWritable: true });
  t.teardown(() => nginx.stop());
  const proxy = await startFaultyProxy(nginx.url);
  t.teardown(() => proxy.stop());
  const run: Scene['run'] = (...args) =>
    runCasync(args, { cwd, env: { CASYNC_CONFIG: config }, timeoutMs: 60_000 });
  await succeed(run('make', '--store=served/s.castr', 'served/x.caibx', 'blob'));
  return { cwd, nginx, proxy, run };
}

function firstChunk({ cwd }: Scene): { readonly id: string; readonly path: string } {
  const id = decodeIndex(fs.readFileSync(join(cwd, 'served/x.caibx'))).id(3);
  return { id, path: join(cwd, 'served/s.castr', id.slice(0, 4), `${id}.cacnk`) };
}

function extractArgs({ proxy }: Scene): readonly string[] {
  return ['extract', `--store=${proxy.url}/s.castr`, `${proxy.url}/x.caibx`, 'out'];
}

interface Failure {
  readonly name: string;
  readonly status: number;
  /** What of the message is certain. */
  readonly message: (scene: Scene) => string;
  readonly faults?: FaultChoice;
  readonly prepare?: (scene: Scene) => void;
}

const onChunks =
  (status: number): FaultChoice =>
  ({ target }) =>
    CHUNK.test(target) ? { kind: 'status', status } : undefined;

const FAILURES: readonly Failure[] = [
  {
    name: 'an index that is not there',
    status: 10,
    message: ({ proxy }) => `${proxy.url}/x.caibx`,
    prepare: ({ cwd }) => fs.rmSync(join(cwd, 'served/x.caibx')),
  },
  {
    name: 'a chunk that is not there',
    status: 12,
    message: (scene) => firstChunk(scene).id,
    prepare: (scene) => fs.rmSync(firstChunk(scene).path),
  },
  {
    name: 'a chunk that is another one',
    status: 14,
    message: (scene) => firstChunk(scene).id,
    prepare: (scene) => {
      const { path } = firstChunk(scene);
      fs.chmodSync(path, 0o644);
      fs.writeFileSync(path, fs.readFileSync(path).subarray(0, 100));
    },
  },
  {
    name: 'chunks that are refused',
    status: 16,
    message: ({ proxy }) => `${proxy.url}/s.castr`,
    faults: onChunks(403),
  },
  {
    name: 'a server that fails',
    status: 16,
    message: ({ proxy }) => `${proxy.url}/s.castr`,
    faults: onChunks(500),
  },
  {
    name: 'a server that wants a password',
    status: 16,
    message: ({ proxy }) => `${proxy.url}/x.caibx`,
    faults: () => ({ kind: 'status', status: 401 }),
  },
  {
    name: 'answers that are cut off',
    status: 16,
    message: ({ proxy }) => `${proxy.url}/s.castr`,
    faults: ({ target }) => (CHUNK.test(target) ? { kind: 'truncate', afterBytes: 50 } : undefined),
  },
  {
    name: 'an index that is cut off in the store',
    status: 14,
    message: ({ proxy }) => `${proxy.url}/x.caibx`,
    prepare: ({ cwd }) => fs.truncateSync(join(cwd, 'served/x.caibx'), 300),
  },
];

for (const { name, status, message, faults, prepare } of FAILURES) {
  test.serial(`extract: ${name}: status ${status}, the place is named, no output`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    // Before it is prepared: what is named may be gone then.
    const expected = message(scene);
    prepare?.(scene);
    if (faults !== undefined) scene.proxy.setFaults(faults);
    const result = await scene.run(...extractArgs(scene));
    const said = result.stderr.toString();
    t.is(result.status, status, said);
    t.true(said.includes(expected), said);
    t.true(said.includes(scene.proxy.url), said);
    t.is(said.trim().split('\n').length, 1, said);
    t.false(fs.existsSync(join(scene.cwd, 'out')));
  });
}

test.serial('extract: nobody listens: status 16', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  await scene.nginx.kill();
  const { url } = scene.nginx;
  const args = [`--store=${url}/s.castr`, `${url}/x.caibx`, 'out'];
  const result = await scene.run('extract', ...args);
  t.is(result.status, 16);
  t.true(result.stderr.toString().includes(`${url}/x.caibx`));
});

for (const [name, answer, status] of [
  ['refuses uploads', 403, 16],
  ['is full', 507, 13],
  ['fails', 500, 16],
] as const) {
  test.serial(`make: a server that ${name} after a while gets no index`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const { proxy, cwd, run } = scene;
    let uploadCount = 0;
    proxy.setFaults(({ method }) =>
      method === 'PUT' && ++uploadCount > 5 ? { kind: 'status', status: answer } : undefined,
    );
    const [store, index] = [`--store=${proxy.url}/t.castr`, `${proxy.url}/new.caibx`];
    const result = await run('make', store, index, 'blob');
    const said = result.stderr.toString();
    t.is(result.status, status, said);
    t.true(said.includes(`${proxy.url}/t.castr`), said);
    t.false(fs.existsSync(join(cwd, 'served/new.caibx')));

    proxy.setFaults(() => undefined);
    await succeed(run('make', store, index, 'blob'));
    await succeed(run('extract', store, index, 'out'));
    t.true(fs.readFileSync(join(cwd, 'out')).equals(BLOB));
  });
}

test.serial('make: an index that cannot be uploaded leaves the old one', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { proxy, cwd, run } = scene;
  const old = fs.readFileSync(join(cwd, 'served/x.caibx'));
  proxy.setFaults(({ method, target }) =>
    method === 'PUT' && !CHUNK.test(target) ? { kind: 'reset', afterBytes: -1 } : undefined,
  );
  fs.writeFileSync(join(cwd, 'blob'), noise(300_000, 9));
  const result = await run('make', `--store=${proxy.url}/s.castr`, `${proxy.url}/x.caibx`, 'blob');
  t.is(result.status, 16, result.stderr.toString());
  t.deepEqual(fs.readFileSync(join(cwd, 'served/x.caibx')), old);
});
