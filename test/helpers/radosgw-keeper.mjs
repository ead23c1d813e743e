/**
 * Runs one Ceph RADOS gateway with everything behind it in memory, for as long as somebody is connected
 * to the socket whose abstract name is given, and tells whoever connects where it is. See radosgw.ts.
 *
 * Usage: node radosgw-keeper.mjs SOCKET
 */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** So long it waits for somebody else, after the last has gone. */
const LINGER_MS = 8000;
/** No step takes nearly as long, but rarely one hangs. */
const STEP_MS = 25_000;
const ATTEMPTS = 6;
const MEMORY = '/dev/shm';
const LEAST_MEMORY = 2 ** 30;
const POLL_MS = 100;
const KEYS = { accessKeyId: 'AKIARADOSGWTEST', secretAccessKey: `canary/secret+${randomUUID()}` };

const users = new Set();
const daemons = [];
let [folder, configuration] = ['', ''];
let told;
let frontend;
let lingering;

function clean() {
  for (const daemon of daemons.splice(0)) {
    daemon.removeAllListeners('exit');
    daemon.kill('SIGKILL');
  }
  if (folder === '') return;
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

function end(status) {
  clean();
  process.exit(status);
}

function linger() {
  clearTimeout(lingering);
  if (users.size === 0 && told !== undefined) lingering = setTimeout(() => end(0), LINGER_MS);
}

/** In memory if there is room: the monitor syncs every change, which takes long where others write much. */
function parentFolder() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize >= LEAST_MEMORY) return MEMORY;
  } catch {
    // There is none.
  }
  return tmpdir();
}

function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  return Promise.all(
    servers.map(
      (server) =>
        new Promise((done, fail) => {
          server.once('error', fail);
          server.listen(0, '127.0.0.1', () => done(server.address().port));
        }),
    ),
  ).finally(() => {
    for (const server of servers) server.close();
  });
}

function configure(monitorPort, port, id) {
  return `[global]
fsid = ${id}
mon host = v1:127.0.0.1:${monitorPort}
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon data avail crit = 1
ms bind msgr2 = false
ms bind before connect = true
public addr = 127.0.0.1
osd objectstore = memstore
memstore device bytes = 2147483648
osd crush update on start = false
osd data = ${folder}/osd
mon data = ${folder}/mon
mgr data = ${folder}/mgr
run dir = ${folder}
log file = ${folder}/$name.log
admin socket = ${folder}/$name.asok
pid file = ${folder}/$name.pid
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw dns name = gateway.test
rgw max concurrent requests = 100000
rgw max objs per shard = 100000
rgw dynamic resharding = false
`;
}

/** Runs a program to its end. */
async function run(program, ...words) {
  try {
    await promisify(execFile)(program, words, { cwd: folder, timeout: STEP_MS });
  } catch ({ stderr, signal }) {
    throw new Error(`${program} ${words[2]}: ${stderr || signal}`);
  }
}

/** Starts a program that is killed when this process ends, whatever ends it. */
function start(program, ...words) {
  const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', program, '-c', configuration, ...words], {
    cwd: folder,
    stdio: 'ignore',
  });
  daemons.push(daemon);
  // Before it is told of, whatever needs it fails.
  daemon.once('exit', () => told !== undefined && end(1));
  return daemon;
}

function startFrontend() {
  frontend = start('radosgw', '-f', '-n', 'client.rgw');
}

/** What a test may ask for that has a gateway of its own: `kill` and `start`, answered when done. */
async function obey(word) {
  if (word === 'kill') {
    frontend.removeAllListeners('exit');
    const ended = new Promise((done) => frontend.once('exit', done));
    frontend.kill('SIGKILL');
    await ended;
    daemons.splice(daemons.indexOf(frontend), 1);
  } else {
    startFrontend();
    await answers(JSON.parse(told).endpoint);
  }
}

async function answers(endpoint) {
  const began = performance.now();
  while (performance.now() - began < STEP_MS) {
    try {
      const { status } = await fetch(endpoint);
      if (status === 200) return;
    } catch {
      // Not yet.
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  throw new Error(`no answer at ${endpoint}: ${readFileSync(`${folder}/client.rgw.log`, 'utf8')}`);
}

async function startGateway() {
  folder = mkdtempSync(join(parentFolder(), 'casync-radosgw-'));
  configuration = join(folder, 'ceph.conf');
  const [monitorPort, port] = await freePorts(2);
  const id = randomUUID();
  writeFileSync(configuration, configure(monitorPort, port, id));
  for (const name of ['mon', 'osd', 'mgr']) mkdirSync(join(folder, name));
  const monitor = `[v1:127.0.0.1:${monitorPort}]`;
  await run('monmaptool', '--create', '--addv', 'a', monitor, '--fsid', id, 'monmap');
  await run('ceph-mon', '-c', configuration, '--mkfs', '-i', 'a', '--monmap', 'monmap');
  start('ceph-mon', '-f', '-i', 'a');
  const storage = randomUUID();
  await run('ceph', '-c', configuration, 'osd', 'new', storage);
  await run('ceph-osd', '-c', configuration, '-i', '0', '--mkfs', '--osd-uuid', storage);
  await run(
    'ceph',
    '-c',
    configuration,
    ...'osd crush add osd.0 1.0 root=default host=h'.split(' '),
  );
  start('ceph-osd', '-f', '-i', '0');
  const user = '--uid=test --display-name=test --max-buckets=0'.split(' ');
  const keys = [`--access-key=${KEYS.accessKeyId}`, `--secret-key=${KEYS.secretAccessKey}`];
  const admin = ['-c', configuration, '-n', 'client.rgw'];
  await run('radosgw-admin', ...admin, 'user', 'create', ...user, ...keys);
  startFrontend();
  const endpoint = `http://127.0.0.1:${port}`;
  await answers(endpoint);
  return { endpoint, ...KEYS };
}

const server = createServer((socket) => {
  users.add(socket);
  clearTimeout(lingering);
  socket.on('error', () => {});
  socket.on('data', (word) => obey(`${word}`.trim()).then(() => socket.write('done\n')));
  socket.on('close', () => {
    users.delete(socket);
    linger();
  });
  if (told !== undefined) socket.write(told);
});

// Somebody else has started one.
server.once('error', () => end(0));
server.listen(`\0${process.argv[2]}`, async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => end(1));
  let outcome;
  for (let attempt = 0; attempt < ATTEMPTS && outcome?.endpoint === undefined; attempt++) {
    outcome = await startGateway().catch((error) => {
      clean();
      return { failure: String(error) };
    });
  }
  told = `${JSON.stringify(outcome)}\n`;
  for (const socket of users) socket.write(told);
  linger();
});
