/** What comes over sockets that is no good request, or not in good time; and how the server ends. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../../../helpers/golden.ts';
import {
  collect,
  connectTo,
  exchange,
  rawExchange,
  statusesIn,
} from '../../../helpers/http-exchange.ts';
import {
  chunkPath,
  folderToServe,
  startServer,
  startWritable,
  TOKEN,
} from '../../../helpers/served-folder.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const HOST = 'Host: h\r\n';
const AUTHORIZED = `${HOST}Authorization: Bearer ${TOKEN}\r\n`;
const SMUGGLED = 'GET /x.caibx HTTP/1.1\r\nHost: h\r\n\r\n';

/** Requests that are refused with 400, and whatever follows them is not looked at. */
const BAD: readonly (readonly [string, string])[] = [
  [
    'a length and chunks',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'chunks and a length',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two lengths',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 0\r\nContent-Length: 9\r\n\r\n`,
  ],
  [
    'the same length twice',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
  ],
  ['a list of lengths', `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 0, 9\r\n\r\n`],
  ['a length with a sign', `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: +5\r\n\r\n`],
  ['a negative length', `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: -1\r\n\r\n`],
  ['a length in hex', `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 0x5\r\n\r\n`],
  [
    'a length that overflows',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 18446744073709551616\r\n\r\n`,
  ],
  [
    'another encoding behind chunks',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding: chunked, identity\r\n\r\n`,
  ],
  [
    'an encoding that is not known',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding: xchunked\r\n\r\n`,
  ],
  [
    'a space before the colon',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length : 5\r\n\r\nabcde`,
  ],
  [
    'a header on two lines',
    `PUT /x.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['a folded header', `GET /x.caibx HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`],
  ['lines that end with LF only', 'GET /x.caibx HTTP/1.1\nHost: h\n\n'],
  ['a header without a name', `GET /x.caibx HTTP/1.1\r\n${HOST}: a\r\n\r\n`],
  ['a NUL in a header', `GET /x.caibx HTTP/1.1\r\n${HOST}A: a\0b\r\n\r\n`],
  ['a line that ends with CR', `GET /x.caibx HTTP/1.1\r\n${HOST}A: b\rX: c\r\n\r\n`],
  ['no host', 'GET /x.caibx HTTP/1.1\r\n\r\n'],
  ['a body for GET', `GET /x.caibx HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n`],
  ['chunks for GET', `GET /x.caibx HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a NUL in the path', `GET /x.caibx\0 HTTP/1.1\r\n${HOST}\r\n`],
  ['a method that nobody knows', `FETCH /x.caibx HTTP/1.1\r\n${HOST}\r\n`],
  ['a small method', `get /x.caibx HTTP/1.1\r\n${HOST}\r\n`],
  ['another version', `GET /x.caibx HTTP/3.7\r\n${HOST}\r\n`],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['noise', Buffer.from(noise(300)).toString('latin1')],
];

for (const [name, bytes] of BAD) {
  test(`refused, and the connection is closed: ${name}`, async (t) => {
    const { folder } = await folderToServe(t);
    const { address } = await startWritable(t, folder);
    const answer = await rawExchange(address, bytes + SMUGGLED);
    t.deepEqual(statusesIn(answer), [400]);
  });
}

for (const [name, body] of [
  ['no digits', 'zz\r\nabc\r\n0\r\n\r\n'],
  ['a negative size', '-1\r\nabc\r\n0\r\n\r\n'],
  ['a size that overflows', 'fffffffffffffffff\r\nabc\r\n0\r\n\r\n'],
  ['more than was said', '3\r\nabcdef\r\n0\r\n\r\n'],
  ['a size with a space', '3 \r\nabc\r\n0\r\n\r\n'],
] as const) {
  test(`chunks of a body that are wrong are refused: ${name}`, async (t) => {
    const { folder } = await folderToServe(t);
    const { address } = await startWritable(t, folder);
    const head = `PUT /y.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n`;
    t.deepEqual(statusesIn(await rawExchange(address, head + body + SMUGGLED)), [400]);
  });
}

test('an upload in chunks is as good as one with a length', async (t) => {
  const { folder, index } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  const head = `PUT /y.caibx HTTP/1.1\r\n${AUTHORIZED}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const body = `${index.length.toString(16)}\r\n${Buffer.from(index).toString('latin1')}\r\n0\r\n\r\n`;
  t.deepEqual(statusesIn(await rawExchange(address, head + body)), [201]);
});

test('an upload in chunks without end is cut off at the limit', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startWritable(t, folder, { limits: { maxIndexBytes: 200_000 } });
  const head = `PUT /y.caibx HTTP/1.1\r\n${AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n`;
  const piece = `10000\r\n${'x'.repeat(65536)}\r\n`;
  const answer = await rawExchange(address, head + piece.repeat(10));
  t.deepEqual(statusesIn(answer), [413]);
});

test('headers that are too long or too many are refused', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  const get = (headers: string) =>
    rawExchange(address, `GET /x.caibx HTTP/1.1\r\n${HOST}${headers}\r\n`);
  t.deepEqual(statusesIn(await get(`A: ${'x'.repeat(9000)}\r\n`)), [431]);
  t.deepEqual(statusesIn(await get('A: b\r\n'.repeat(80))), [431]);
  const line = `GET /${'x'.repeat(9000)} HTTP/1.1\r\n${HOST}\r\n`;
  t.deepEqual(statusesIn(await rawExchange(address, line)), [431]);
});

test('several requests at once are answered in their order', async (t) => {
  const { folder, index } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  const last = `GET /nothing.caibx HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
  const answer = await rawExchange(address, SMUGGLED.repeat(20) + last);
  t.deepEqual(statusesIn(answer), [...new Array<number>(20).fill(200), 404]);
  t.is(answer.split(Buffer.from(index).toString('latin1')).length, 21);
});

test('a client of HTTP/1.0 gets its answer, and the connection is closed', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  t.deepEqual(statusesIn(await rawExchange(address, 'GET /x.caibx HTTP/1.0\r\n\r\n')), [200]);
});

test('an upgrade is not made', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  const headers = `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const answer = await rawExchange(address, `GET /x.caibx HTTP/1.1\r\n${headers}`);
  t.false(statusesIn(answer).includes(101));
  t.is(await rawExchange(address, `CONNECT h:1 HTTP/1.1\r\n${HOST}\r\n`), '');
});

test('whoever sends nothing, or headers without end, is told that time is up', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder, { limits: { headersTimeoutMs: 200 } });
  const silent = connectTo(address);
  const slow = connectTo(address);
  slow.write('GET /x.caibx HTTP/1.1\r\n');
  const timer = setInterval(() => slow.write('A: b\r\n'), 50);
  const answers = await Promise.all([silent, slow].map(collect));
  clearInterval(timer);
  t.deepEqual(answers.map(statusesIn), [[408], [408]]);
});

test('a body that comes too slowly is given up', async (t) => {
  const { folder } = await folderToServe(t);
  const limits = { headersTimeoutMs: 200, requestTimeoutMs: 400 };
  const { address } = await startWritable(t, folder, { limits });
  const socket = connectTo(address);
  socket.write(`PUT /y.caibx HTTP/1.1\r\n${AUTHORIZED}Content-Length: 1000\r\n\r\n`);
  const timer = setInterval(() => socket.write('x'), 50);
  const answer = await collect(socket);
  clearInterval(timer);
  t.deepEqual(statusesIn(answer), [408]);
});

test('a connection on which nothing happens is closed', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder, { limits: { idleTimeoutMs: 200 } });
  t.deepEqual(statusesIn(await rawExchange(address, SMUGGLED)), [200]);
});

test('who does not read a large answer is cut off, and holds no memory meanwhile', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'large.caibx'), Buffer.alloc(64 * 1024 * 1024));
  const { address } = await startServer(t, folder, { limits: { idleTimeoutMs: 500 } });
  const before = process.memoryUsage.rss();
  const ends = Array.from({ length: 20 }, () => {
    const socket = connectTo(address);
    socket.write('GET /large.caibx HTTP/1.1\r\nHost: h\r\n\r\n');
    socket.pause();
    return once(socket, 'close');
  });
  await exchange(address, { path: '/healthz' });
  // A paused socket does not see the end before it reads again.
  const during = process.memoryUsage.rss();
  t.true(during - before < 200 * 1024 * 1024);
  const counted = async (): Promise<string> =>
    (await exchange(address, { path: '/metrics' })).body.toString();
  let text = '';
  while (!text.includes('requests_in_flight 1\n')) text = await counted();
  t.is(ends.length, 20);
});

test('connections above the limit are refused politely, and are served when others leave', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder, { limits: { maxConnections: 2 } });
  const sockets = [connectTo(address), connectTo(address)];
  for (const socket of sockets) {
    socket.write(SMUGGLED);
    await once(socket, 'data');
  }
  const reply = await exchange(address, { path: '/x.caibx' });
  t.is(reply.status, 503);
  t.is(reply.headers['retry-after'], '1');
  t.is(reply.headers.connection, 'close');
  for (const socket of sockets) {
    socket.end();
    await once(socket, 'close');
  }
  t.is((await exchange(address, { path: '/x.caibx' })).status, 200);
});

test('a connection is used so often and no more', async (t) => {
  const { folder } = await folderToServe(t);
  const limits = { maxRequestsPerConnection: 3 };
  const { address } = await startServer(t, folder, { limits });
  const socket = connectTo(address);
  const answer = collect(socket);
  for (let i = 0; i < 3; i++) {
    socket.write(SMUGGLED);
    await once(socket, 'data');
  }
  const statuses = statusesIn(await answer);
  t.deepEqual(statuses, [200, 200, 200]);
});

test('closing waits for answers under way, takes no new requests, and ends idle connections', async (t) => {
  const folder = temporaryFolder(t);
  const content = Buffer.alloc(32 * 1024 * 1024, 7);
  writeFileSync(join(folder, 'large.caibx'), content);
  const server = await startServer(t, folder);
  const { address } = server;
  const idle = connectTo(address);
  const half = connectTo(address);
  half.write('GET /large.ca');
  idle.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(idle, 'data');
  const request = http.get(`${address}/large.caibx`, { agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const closed = server.close();
  await Promise.all([once(idle, 'close'), once(half, 'close')]);
  await t.throwsAsync(exchange(address, { path: '/healthz' }), { code: 'ECONNREFUSED' });
  let length = 0;
  for await (const piece of response) length += (piece as Buffer).length;
  t.is(length, content.length);
  await closed;
});

test('closing does not wait for ever', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'large.caibx'), Buffer.alloc(64 * 1024 * 1024));
  const server = await startServer(t, folder, { limits: { closeTimeoutMs: 200 } });
  const socket = connectTo(server.address);
  socket.write('GET /large.caibx HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'readable');
  await server.close();
  socket.resume();
  await once(socket, 'close');
  t.true(socket.bytesRead < 64 * 1024 * 1024);
});

test('a client that leaves in the middle of an answer does no harm', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  for (let i = 0; i < 50; i++) {
    const socket = connectTo(address);
    socket.write(`GET ${chunkPath(ids[0])} HTTP/1.1\r\nHost: h\r\n\r\n`.repeat(5));
    await once(socket, 'readable');
    socket.resetAndDestroy();
  }
  t.is((await exchange(address, { path: '/healthz' })).body.toString(), 'ok\n');
});
