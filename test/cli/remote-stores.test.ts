/** Several stores at once, here and on servers: which of them is asked, and what is kept here. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { NGINX_NEEDS, type Nginx, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Scene {
  /** Current folder of the commands, with `blob`, `a` and `b`: folders of the servers. */
  readonly cwd: string;
  readonly a: Nginx;
  readonly b: Nginx;
  readonly run: (...args: readonly string[]) => Promise<RunResult>;
}

const PARTS = [noise(500_000, 1), noise(500_000, 2)];
const BLOB = Buffer.concat(PARTS);

async function openScene(t: ExecutionContext): Promise<Scene | undefined> {
  if (!requirement(t, NGINX_NEEDS)) return undefined;
  t.timeout(120_000);
  const cwd = temporaryFolder(t);
  fs.chmodSync(cwd, 0o755);
  fs.writeFileSync(join(cwd, 'blob'), BLOB);
  for (const [i, part] of PARTS.entries()) fs.writeFileSync(join(cwd, `part${i}`), part);
  const [a, b] = await Promise.all(
    ['a', 'b'].map(async (name) => {
      fs.mkdirSync(join(cwd, name));
      fs.chmodSync(join(cwd, name), 0o777);
      const nginx = await startNginx({ folder: join(cwd, name), isWritable: true });
      t.teardown(() => nginx.stop());
      return nginx;
    }),
  );
  const run: Scene['run'] = (...args) => succeed(runCasync(args, { cwd, timeoutMs: 60_000 }));
  return { cwd, a, b, run };
}

function sameBlob(t: ExecutionContext, { cwd }: Scene, name: string): void {
  t.true(fs.readFileSync(join(cwd, name)).equals(BLOB), name);
}

function chunkRequests({ requests }: Nginx, method = 'GET'): readonly string[] {
  return requests().filter((line) => line.startsWith(`${method} `) && line.includes('.cacnk'));
}

function chunkFiles(cwd: string, store: string): readonly string[] {
  const files = fs.readdirSync(join(cwd, store), { recursive: true, encoding: 'utf8' });
  return files.filter((name) => name.endsWith('.cacnk'));
}

test.serial('index and store are on different hosts', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { cwd, a, b, run } = scene;
  const words = [`--store=${b.url}/s.castr`, `${a.url}/x.caibx`];
  await run('make', ...words, 'blob');
  await run('extract', ...words, 'out');
  sameBlob(t, scene, 'out');
  t.deepEqual(chunkRequests(a), []);
  t.deepEqual(fs.readdirSync(join(cwd, 'a')), ['x.caibx']);
});

test.serial(
  'each chunk comes from a store that has it, from this machine if it is there',
  async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const { cwd, a, b, run } = scene;
    // Each store lacks something: the index of all was made with a store that is gone.
    await run('make', '--store=gone.castr', 'x.caibx', 'blob');
    fs.rmSync(join(cwd, 'gone.castr'), { recursive: true });
    await run('make', `--store=${a.url}/s.castr`, 'part0.caibx', 'part0');
    await run('make', `--store=${b.url}/s.castr`, 'all.caibx', 'blob');
    await run('make', '--store=own.castr', 'part1.caibx', 'part1');
    const extra = [`--extra-store=${b.url}/s.castr`, '--extra-store=own.castr'];
    const before = chunkRequests(b).length;
    const { stderr } = await run(
      'extract',
      '-v',
      `--store=${a.url}/s.castr`,
      ...extra,
      'x.caibx',
      'out',
    );
    sameBlob(t, scene, 'out');
    t.regex(stderr.toString(), /from local store: [1-9]/);
    t.regex(stderr.toString(), /from remote store: [1-9]/);
    // One of a million bytes in each part is a border that the parts do not have.
    t.true(chunkRequests(b).length - before <= 4, `${chunkRequests(b).length - before}`);
  },
);

test.serial('the store beside a remote index is the default', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { cwd, a, run } = scene;
  await run('make', `${a.url}/x.caibx?query`, 'blob');
  t.deepEqual(fs.readdirSync(join(cwd, 'a')).sort(), ['default.castr', 'x.caibx']);
  await run('extract', `${a.url}/x.caibx`, 'out');
  sameBlob(t, scene, 'out');
});

test.serial('a cache store is filled on the way, and spares the server', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { cwd, a, run } = scene;
  await run('make', `${a.url}/x.caibx`, 'blob');
  await run('extract', '--cache-store=cache.castr', `${a.url}/x.caibx`, 'out');
  sameBlob(t, scene, 'out');
  const chunks = chunkFiles(cwd, 'a/default.castr');
  t.deepEqual([...chunkFiles(cwd, 'cache.castr')].sort(), [...chunks].sort());
  const before = chunkRequests(a).length;
  await run('extract', '--cache-store=cache.castr', `${a.url}/x.caibx`, 'again');
  sameBlob(t, scene, 'again');
  t.is(chunkRequests(a).length, before);
});

test.serial('a second make uploads nothing but the index', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { a, run } = scene;
  await run('make', `${a.url}/x.caibx`, 'blob');
  const before = chunkRequests(a, 'PUT').length;
  t.true(before > 5);
  await run('make', `${a.url}/y.caibx`, 'blob');
  t.is(chunkRequests(a, 'PUT').length, before);
});

test.serial('two indexes on servers are compared', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { cwd, a, b, run } = scene;
  for (const [server, last] of [
    [a, 'one'],
    [b, 'two'],
  ] as const) {
    fs.mkdirSync(join(cwd, 'tree'), { recursive: true });
    fs.writeFileSync(join(cwd, 'tree/file'), last);
    await run('make', `${server.url}/x.caidx`, 'tree');
  }
  const options = { cwd };
  const same = await runCasync(['diff', `${a.url}/x.caidx`, `${a.url}/x.caidx`], options);
  t.is(same.status, 0);
  const other = await runCasync(['diff', `${a.url}/x.caidx`, `${b.url}/x.caidx`], options);
  t.is(other.status, 1);
  t.regex(other.stdout.toString(), /file/);
});
