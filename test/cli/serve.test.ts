/** `casync serve` as a process: what it prints, its options and signals, and real clients. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { exchange } from '../helpers/http-exchange.ts';
import { makeCertificates } from '../helpers/nginx.ts';
import { findCommand, requirement } from '../helpers/requirements.ts';
import { runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { serveProcess } from '../helpers/serve-process.ts';
import { BEARER, filesBelow, folderToServe, TOKEN } from '../helpers/served-folder.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const run = promisify(execFile);
const DESYNC = findCommand('desync') ?? '/tmp/sid/root/usr/bin/desync';
const CLIENT_ENV = { no_proxy: '*', NO_PROXY: '*' };
/** Of uploads with the token as password of anybody. */
const withToken = (address: string) => address.replace('://', `://anybody:${TOKEN}@`);

test('prints where it listens, and ends with status 0 on a signal', async (t) => {
  const { folder, index } = await folderToServe(t);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await serveProcess(t, '.', { cwd: folder });
    t.regex(server.address, /^http:\/\/127\.0\.0\.1:\d+$/);
    t.deepEqual((await exchange(server.address, { path: '/x.caibx' })).body, Buffer.from(index));
    server.signal(signal);
    t.deepEqual(await server.ended, [0, null]);
    t.is(server.stdout(), `Listening on ${server.address}\n`);
    t.is(server.stderr(), '');
  }
});

test('chunks in packs are given away as files, also to the original', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  const content = Buffer.concat([noise(200_000), Buffer.alloc(100_000, 'text'), noise(50_001, 2)]);
  fs.writeFileSync(join(folder, 'disk'), content);
  const named = ['--store=default.castr', '--name=disk'];
  await succeed(runCasync(['put', ...named, 'disk'], { cwd: folder }));
  await succeed(runCasync(['get', ...named, 'x.caibx'], { cwd: folder }));
  t.deepEqual(
    filesBelow(join(folder, 'default.castr')).filter((name) => name.endsWith('.cacnk')),
    [],
  );
  const server = await serveProcess(t, folder);
  for (const [i, get] of [runCasync, runReference].entries()) {
    const args = ['extract', `${server.address}/x.caibx`, `out${i}`];
    await succeed(get(args, { cwd: folder, env: CLIENT_ENV }));
    t.true(fs.readFileSync(join(folder, `out${i}`)).equals(content));
  }
  fs.renameSync(join(folder, 'default.castr/packs'), join(folder, 'elsewhere'));
  fs.symlinkSync('/usr', join(folder, 'default.castr/packs'));
  const gone = await runCasync(['extract', `${server.address}/x.caibx`, 'none'], {
    cwd: folder,
    env: CLIENT_ENV,
  });
  t.is(gone.status, 12);
});

test('tells the service manager when it is ready and when it ends', async (t) => {
  if (!requirement(t, { commands: ['socat'] })) return;
  const { folder } = await folderToServe(t);
  const path = join(folder, 'notify');
  const listener = spawn('socat', ['-u', `UNIX-RECV:${path}`, '-']);
  t.teardown(() => listener.kill());
  let heard = '';
  listener.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  while (!fs.existsSync(path)) await new Promise((resolve) => setImmediate(resolve));
  const server = await serveProcess(t, folder, { env: { NOTIFY_SOCKET: path } });
  while (heard === '') await once(listener.stdout, 'data');
  t.is(heard, 'READY=1');
  server.signal('SIGTERM');
  while (heard === 'READY=1') await once(listener.stdout, 'data');
  t.is(heard, 'READY=1STOPPING=1');
});

test('SIGHUP reads the tokens again and opens the log anew, and ends nothing', async (t) => {
  const { folder } = await folderToServe(t);
  const [tokens, log] = [join(folder, 'tokens'), join(folder, 'log')];
  fs.writeFileSync(tokens, `${TOKEN}\n`);
  const args = ['--writable', `--token-file=${tokens}`, `--access-log=${log}`];
  const server = await serveProcess(t, folder, { args });
  const status = async (): Promise<number> => {
    const request = { method: 'PUT', path: '/y', headers: BEARER };
    return (await exchange(server.address, request)).status;
  };
  t.is(await status(), 403);
  fs.writeFileSync(tokens, 'another-canary-token\n');
  fs.renameSync(log, `${log}.1`);
  server.signal('SIGHUP');
  while (!fs.existsSync(log)) await exchange(server.address, { path: '/healthz' });
  t.is(await status(), 401);
  fs.writeFileSync(tokens, '');
  server.signal('SIGHUP');
  while (server.stderr() === '') await exchange(server.address, { path: '/healthz' });
  t.is(server.stderr(), 'Failed to reload, going on as before: no token for uploads\n');
  server.signal('SIGTERM');
  t.deepEqual(await server.ended, [0, null]);
  t.regex(fs.readFileSync(log, 'utf8'), /PUT \/y 401/);
});

for (const [name, args, message, env] of [
  ['nothing to serve', ['serve'], /Expected a folder or store/],
  ['no such folder', ['serve', 'missing'], /missing: no such folder/],
  ['a file', ['serve', 'secret.txt'], /no such folder/],
  ['no token', ['serve', '--writable', '.'], /--writable needs --token-file=/],
  ['a token for nothing', ['serve', '--token-file=t', '.'], /only with --writable/],
  ['no token file', ['serve', '--writable', '--token-file=t', '.'], /t: read: No such file/],
  ['a short token', ['serve', '--writable', '.'], /at least 16/, { CASYNC_SERVE_TOKEN: 'abc' }],
  ['a bad address', ['serve', '--listen=80', '.'], /80: not ADDRESS:PORT or unix:PATH/],
  ['an address of others', ['serve', '--listen=192.0.2.1:0', '.'], /Cannot assign requested/],
  ['half of TLS', ['serve', '--tls-key=k', '.'], /both --tls-certificate= and --tls-key=/],
  ['clients without TLS', ['serve', '--client-ca=c', '.'], /both --tls-certificate=/],
  ['a log in no folder', ['serve', '--access-log=a/b', '.'], /a\/b: open: No such file/],
  ['a place behind ssh', ['serve', 'host:place'], /Only folders of this machine/],
] as const) {
  test(`refused at the start: ${name}`, async (t) => {
    const { folder } = await folderToServe(t);
    const listen = args.some((word) => word.startsWith('--listen')) ? [] : ['--listen=127.0.0.1:0'];
    const result = await runCasync([...args, ...listen], { cwd: folder, ...(env ? { env } : {}) });
    t.not(result.status, 0);
    t.regex(result.stderr.toString(), message);
    t.is(result.stderr.toString().trim().split('\n').length, 1);
  });
}

test('our extract and the original one read from it', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, content } = await folderToServe(t);
  const { address } = await serveProcess(t, folder);
  const options = { cwd: folder, env: CLIENT_ENV };
  await succeed(runCasync(['extract', `${address}/x.caibx`, 'ours'], options));
  await succeed(runReference(['extract', `${address}/x.caibx`, 'theirs'], options));
  for (const name of ['ours', 'theirs']) {
    t.deepEqual(fs.readFileSync(join(folder, name)), Buffer.from(content));
  }
});

test('desync reads from it and writes to it', async (t) => {
  // Debian's stable release does not have it: nothing that CI could ask for.
  if (!fs.existsSync(DESYNC)) {
    t.log(`SKIPPED: ${t.title}: needs the program desync`);
    t.pass();
    return;
  }
  const { folder, content } = await folderToServe(t);
  const args = ['--writable'];
  const server = await serveProcess(t, folder, { args, env: { CASYNC_SERVE_TOKEN: TOKEN } });
  const { address } = server;
  const env = { ...process.env, ...CLIENT_ENV, HOME: folder };
  const options = { cwd: folder, env };
  const store = `${address}/default.castr/`;
  await run(DESYNC, ['extract', '-s', store, `${address}/x.caibx`, 'read'], options);
  t.deepEqual(fs.readFileSync(join(folder, 'read')), Buffer.from(content));
  const config = join(folder, 'desync.json');
  const settings = { 'http-auth': `Bearer ${TOKEN}` };
  const places = [`${address}/new.castr/`, `${address}/`, `${address}`];
  const stores = Object.fromEntries(places.map((place) => [place, settings]));
  fs.writeFileSync(config, JSON.stringify({ 'store-options': stores }));
  fs.writeFileSync(join(folder, 'blob'), noise(300_000, 5));
  const words = ['--config', config, 'make', '-s', `${address}/new.castr/`, 'new.caibx', 'blob'];
  await run(DESYNC, words, options);
  const result = await succeed(
    runCasync(['verify', '--store=new.castr', 'new.caibx'], { cwd: folder }),
  );
  t.is(result.status, 0);
});

test('our make stores chunks and index through it, without writing what is there', async (t) => {
  const folder = temporaryFolder(t);
  const place = join(folder, 'place');
  fs.mkdirSync(place);
  fs.writeFileSync(join(folder, 'blob'), noise(2_000_000));
  const log = join(folder, 'log');
  const args = ['--writable', `--access-log=${log}`];
  const server = await serveProcess(t, place, { args, env: { CASYNC_SERVE_TOKEN: TOKEN } });
  const url = `${withToken(server.address)}/x.caibx`;
  const options = { cwd: folder, env: CLIENT_ENV };
  await succeed(runCasync(['make', url, 'blob'], options));
  const stored = filesBelow(place).filter((path) => path.endsWith('.cacnk'));
  t.true(stored.length > 10);
  await succeed(runCasync(['make', url.replace('x.caibx', 'y.caibx'), 'blob'], options));
  await succeed(runCasync(['extract', join(place, 'y.caibx'), 'out'], options));
  t.deepEqual(fs.readFileSync(join(folder, 'out')), fs.readFileSync(join(folder, 'blob')));
  server.signal('SIGTERM');
  await server.ended;
  const puts = fs.readFileSync(log, 'utf8').match(/ PUT \S+\.cacnk 201 /g) ?? [];
  t.is(puts.length, stored.length);
});

test('a server that is killed during uploads leaves nothing half visible', async (t) => {
  const folder = temporaryFolder(t);
  const place = join(folder, 'place');
  fs.mkdirSync(place);
  fs.writeFileSync(join(folder, 'blob'), noise(8_000_000));
  const env = { CASYNC_SERVE_TOKEN: TOKEN };
  const chunks = (): number => filesBelow(place).filter((path) => path.endsWith('.cacnk')).length;
  for (const count of [1, 30]) {
    const server = await serveProcess(t, place, { args: ['--writable'], env });
    const url = `${withToken(server.address)}/x.caibx`;
    const options = { cwd: folder, env: CLIENT_ENV, timeoutMs: 20_000 };
    const making = runCasync(['make', '--rate-limit-bps=2M', url, 'blob'], options);
    while (chunks() < count) await exchange(server.address, { path: '/healthz' });
    server.signal('SIGKILL');
    await server.ended;
    t.false(fs.existsSync(join(place, 'x.caibx')));
    await succeed(runCasync(['verify', join(place, 'default.castr')]));
    t.not((await making).status, 0);
  }
  const server = await serveProcess(t, place, { args: ['--writable'], env });
  const url = `${withToken(server.address)}/x.caibx`;
  await succeed(runCasync(['make', url, 'blob'], { cwd: folder, env: CLIENT_ENV }));
  await succeed(runCasync(['verify', join(place, 'x.caibx')]));
});

test('HTTPS with certificates on both sides', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { authority, serverCertificate, serverKey, clientCertificate, clientKey } =
    makeCertificates(temporaryFolder(t));
  const args = [`--tls-certificate=${serverCertificate}`, `--tls-key=${serverKey}`];
  const server = await serveProcess(t, folder, { args: [...args, `--client-ca=${authority}`] });
  const [ca, cert, key] = [authority, clientCertificate, clientKey].map((path) =>
    fs.readFileSync(path),
  );
  const reply = await exchange(server.address, { path: '/x.caibx', tls: { ca, cert, key } });
  t.is(reply.status, 200);
});

test('uploads without TLS on addresses for all are warned of', async (t) => {
  const { folder } = await folderToServe(t);
  const args = ['--writable', '--listen=0.0.0.0:0'];
  const server = await serveProcess(t, folder, { args, env: { CASYNC_SERVE_TOKEN: TOKEN } });
  const command = fs.readFileSync(`/proc/${server.pid}/cmdline`, 'latin1');
  t.false(command.includes(TOKEN));
  server.signal('SIGTERM');
  await server.ended;
  t.regex(server.stderr(), /not encrypted/);
});
