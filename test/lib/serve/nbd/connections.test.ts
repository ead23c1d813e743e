/** Clients of the NBD server that come, go, wait and vanish; sockets; the end (spec/nbd.md). */

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { DEFAULT_NBD_LIMITS } from '../../../../lib/serve/nbd/limits.ts';
import { openNbdServer } from '../../../../lib/serve/nbd/server.node.ts';
import {
  CLIENT_FLAGS,
  nbdBytes,
  nbdContextRequest,
  nbdInfoRequest,
  nbdOption,
  nbdRequest,
} from '../../../helpers/nbd-bytes.ts';
import { NbdClient } from '../../../helpers/nbd-client.ts';
import { testServer } from '../../../helpers/nbd-server.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { memoryExport, patternBytes, writableExport } from '../../../helpers/test-exports.ts';

const MIB = 1024 * 1024;
const ERR = { ESHUTDOWN: 108 };

function serverOn(path: string) {
  const blockExport = memoryExport(Buffer.alloc(512));
  return openNbdServer({
    blockExport,
    described: {
      name: Buffer.alloc(0),
      description: Buffer.alloc(0),
      size: 512,
      isWritable: false,
    },
    listeners: [{ path }],
    limits: DEFAULT_NBD_LIMITS,
    onFailure: () => {},
  });
}

/** Resolves when `condition` holds, which something that goes on brings about. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('a socket belongs to its user alone, and goes with the server', async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  const mask = process.umask();
  const server = await serverOn(path);
  t.is(process.umask(), mask);
  t.is(lstatSync(path).mode & 0o777, 0o600);
  await server.close();
  t.false(existsSync(path));
});

test('the socket of a dead server is replaced', async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  const bind = `import socket; socket.socket(socket.AF_UNIX).bind('${path}')`;
  t.is(spawnSync('python3', ['-c', bind]).status, 0);
  t.true(lstatSync(path).isSocket());
  const server = await serverOn(path);
  const client = await NbdClient.open({ path });
  t.is((await client.read(0, 512)).error, 0);
  client.destroy();
  await server.close();
});

test('the socket of a living server is not touched, nor is any other file', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'socket');
  const other = createServer().listen(path);
  t.teardown(() => void other.close());
  await until(() => other.listening);
  const inode = lstatSync(path).ino;
  await t.throwsAsync(serverOn(path), { message: `${path}: listen: another server listens on it` });
  t.is(lstatSync(path).ino, inode);
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  await t.throwsAsync(serverOn(file), { message: `${file}: listen: is no socket` });
  t.true(lstatSync(file).isFile());
  const long = join(folder, 'x'.repeat(120));
  await t.throwsAsync(serverOn(long), { message: /longer than the 107 bytes/ });
  await t.throwsAsync(serverOn(join(folder, 'none/socket')), { message: /: listen: / });
});

test('who negotiates for too long is cut off', async (t) => {
  const server = await testServer(t, memoryExport(Buffer.alloc(512)), { negotiationTimeoutMs: 50 });
  const silent = server.connect();
  silent.send(CLIENT_FLAGS, nbdOption(3));
  await silent.closed();
  const client = await server.client();
  await until(() => silent.socket.destroyed);
  t.is((await client.read(0, 512)).error, 0);
});

test('connections above the limit are closed', async (t) => {
  const server = await testServer(t, memoryExport(Buffer.alloc(512)), { maxConnections: 2 });
  const first = await server.client();
  await server.client();
  await t.throwsAsync(server.client(), { message: 'connection closed' });
  first.destroy();
  await first.closed();
  for (;;) {
    const client = server.connect();
    const isServed = await client.take(18).then(
      () => true,
      () => false,
    );
    if (isServed) break;
  }
  t.pass();
});

test('a client may vanish at any byte', async (t) => {
  const blob = writableExport(patternBytes(10_000));
  const server = await testServer(t, blob);
  const conversation = Buffer.concat([
    CLIENT_FLAGS,
    nbdOption(8),
    nbdOption(10, nbdContextRequest('', ['base:allocation'])),
    nbdOption(7, nbdInfoRequest('', [1, 2, 3])),
    nbdRequest({ command: 0, length: 10_000 }),
    nbdRequest({ command: 1, data: Buffer.alloc(100, 1) }),
    nbdRequest({ command: 7, length: 10_000 }),
    nbdRequest({ command: 3 }),
    nbdRequest({ command: 2 }),
  ]);
  const clients = Array.from({ length: conversation.length + 1 }, (_, length) => length);
  for (const length of clients) {
    const client = server.connect();
    client.send(conversation.subarray(0, length));
    if (length % 2 === 0) await client.take(18);
    if (length % 3 === 0) client.socket.end();
    else client.destroy();
    await client.closed();
  }
  const client = await server.client();
  t.is((await client.read(0, 10_000)).error, 0);
  await until(() => blob.held() === 0);
  t.deepEqual(server.failures, []);
});

test('what is no request ends the connection', async (t) => {
  const client = await (await testServer(t, memoryExport(Buffer.alloc(512)))).client();
  client.send(nbdBytes([32, 0x25609514], Buffer.alloc(24)));
  await client.closed();
  t.pass();
});

test('only so many requests of a client are under way', async (t) => {
  const blob = memoryExport(patternBytes(MIB));
  let waiting = 0;
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  blob.gate = () => {
    waiting += 1;
    return gate;
  };
  const server = await testServer(t, blob, { maxRequests: 5 });
  const client = await server.client();
  const names = Array.from({ length: 20 }, (_, i) =>
    client.ask({ command: 0, offset: i * 512, length: 512 }),
  );
  await until(() => waiting === 5);
  // Another one is not held up by it.
  blob.gate = () => undefined;
  t.is((await (await server.client()).read(0, 512)).error, 0);
  t.is(waiting, 5);
  open();
  for (const [i, name] of names.entries()) {
    t.true((await client.answer(name)).data.equals(blob.bytes.subarray(i * 512, i * 512 + 512)));
  }
});

test('clients that do not read their answers hold little, and nobody up', async (t) => {
  const blob = memoryExport(patternBytes(32 * MIB));
  const limits = { totalBytes: 8 * MIB, clientBytes: 2 * MIB };
  const server = await testServer(t, blob, limits);
  const clients = await Promise.all(Array.from({ length: 64 }, () => server.client()));
  for (const client of clients) {
    client.socket.pause();
    for (let i = 0; i < 4; i++) client.ask({ command: 0, offset: 0, length: 32 * MIB });
  }
  const reader = await server.client();
  for (let i = 0; i < 20; i++) {
    t.true(
      (await reader.read(i * 512, MIB)).data.equals(blob.bytes.subarray(i * 512, i * 512 + MIB)),
    );
  }
  t.true(blob.held() <= limits.totalBytes + 65 * 256 * 1024, `${blob.held()} bytes`);
  for (const client of clients) client.destroy();
  await until(() => blob.held() === 0);
});

test('the end waits for what is under way, and refuses the rest', async (t) => {
  const blob = memoryExport(patternBytes(MIB));
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let count = 0;
  blob.gate = () => {
    count += 1;
    return gate;
  };
  const server = await testServer(t, blob, { closeTimeoutMs: 20_000 });
  const client = await server.client();
  const early = client.ask({ command: 0, length: 512 });
  await until(() => count === 1);
  const closed = server.close();
  const late = client.ask({ command: 0, length: 512 });
  t.is((await client.answer(late)).error, ERR.ESHUTDOWN);
  open();
  t.is((await client.answer(early)).error, 0);
  await client.closed();
  await closed;
  t.false(existsSync(server.path));
});

test('a store that does not answer does not keep the server from ending', async (t) => {
  const blob = memoryExport(patternBytes(MIB));
  let count = 0;
  blob.gate = () => {
    count += 1;
    return new Promise(() => {});
  };
  const server = await testServer(t, blob, { closeTimeoutMs: 100 });
  const client = await server.client();
  const name = client.ask({ command: 0, length: 512 });
  await until(() => count === 1);
  const closed = server.close();
  t.is((await client.answer(name)).error, ERR.ESHUTDOWN);
  await closed;
  t.deepEqual(server.failures, []);
});

test('clients that do not go are cut off in the end', async (t) => {
  const blob = memoryExport(patternBytes(8 * MIB));
  const server = await testServer(t, blob, { closeTimeoutMs: 100 });
  const client = await server.client();
  client.socket.pause();
  client.ask({ command: 0, length: 8 * MIB });
  await until(() => blob.held() > 0);
  await server.close();
  t.is(blob.held(), 0);
});
