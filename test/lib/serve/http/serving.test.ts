/** What is given away, to whom, and as what. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { PIECE_BYTES } from '../../../../lib/serve/http/served-place.ts';
import { noise } from '../../../helpers/golden.ts';
import { exchange, rawExchange, statusesIn } from '../../../helpers/http-exchange.ts';
import {
  chunkPath,
  folderToServe,
  startServer,
  storedChunk,
} from '../../../helpers/served-folder.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

test('a chunk comes as it is stored, and may be kept for ever', async (t) => {
  const served = await folderToServe(t);
  const { address } = await startServer(t, served.folder);
  const [id] = served.ids;
  const { status, headers, body } = await exchange(address, { path: chunkPath(id) });
  t.is(status, 200);
  t.deepEqual(body, storedChunk(served, id));
  t.is(headers['content-length'], String(body.length));
  t.is(headers['content-type'], 'application/octet-stream');
  t.is(headers['cache-control'], 'public, max-age=31536000, immutable');
  t.is(headers.etag, `"${id}"`);
  t.is(headers['accept-ranges'], 'bytes');
});

test('an index comes with what tells its version, and is asked for again soon', async (t) => {
  const { folder, index } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  const { status, headers, body } = await exchange(address, { path: '/x.caibx?release=7' });
  t.is(status, 200);
  t.deepEqual(body, Buffer.from(index));
  t.is(headers['cache-control'], 'public, max-age=10, must-revalidate');
  t.is(headers['last-modified'], fs.statSync(join(folder, 'x.caibx')).mtime.toUTCString());
  const { etag = '' } = headers;
  const again = { path: '/x.caibx', headers: { 'if-none-match': etag } };
  t.is((await exchange(address, again)).status, 304);
  fs.writeFileSync(join(folder, 'new'), index);
  fs.renameSync(join(folder, 'new'), join(folder, 'x.caibx'));
  t.is((await exchange(address, again)).status, 200);
});

test('HEAD says what GET would say, without a body', async (t) => {
  const served = await folderToServe(t);
  const { address } = await startServer(t, served.folder);
  for (const path of ['/x.caibx', chunkPath(served.ids[0]), '/nothing.caibx', '/healthz']) {
    const full = await exchange(address, { path });
    const head = await exchange(address, { path, method: 'HEAD' });
    t.is(head.status, full.status, path);
    t.is(head.body.length, 0);
    for (const name of ['content-length', 'content-type', 'etag', 'cache-control']) {
      t.is(head.headers[name], full.headers[name], `${path} ${name}`);
    }
  }
});

test('parts of indexes and chunks', async (t) => {
  const served = await folderToServe(t);
  const { address } = await startServer(t, served.folder);
  const chunk = storedChunk(served, served.ids[0]);
  for (const [path, whole] of [
    ['/x.caibx', Buffer.from(served.index)],
    [chunkPath(served.ids[0]), chunk],
  ] as const) {
    const part = await exchange(address, { path, headers: { range: 'bytes=3-12' } });
    t.is(part.status, 206);
    t.deepEqual(part.body, whole.subarray(3, 13));
    t.is(part.headers['content-range'], `bytes 3-12/${whole.length}`);
    t.is(part.headers['content-length'], '10');
    const behind = await exchange(address, { path, headers: { range: 'bytes=99999999-' } });
    t.is(behind.status, 416);
    t.is(behind.headers['content-range'], `bytes */${whole.length}`);
    const other = { range: 'bytes=3-12', 'if-range': '"another"' };
    t.is((await exchange(address, { path, headers: other })).status, 200);
  }
});

test('a large index comes in pieces and whole, and so does a part of it', async (t) => {
  const folder = temporaryFolder(t);
  const content = noise(3 * PIECE_BYTES + 17);
  fs.writeFileSync(join(folder, 'large.caibx'), content);
  const { address } = await startServer(t, folder);
  const { body } = await exchange(address, { path: '/large.caibx' });
  t.deepEqual(body, Buffer.from(content));
  const headers = { range: `bytes=5-${2 * PIECE_BYTES + 5}` };
  const part = await exchange(address, { path: '/large.caibx', headers });
  t.deepEqual(part.body, Buffer.from(content.subarray(5, 2 * PIECE_BYTES + 6)));
});

test('a store can be served alone', async (t) => {
  const served = await folderToServe(t);
  const { address } = await startServer(t, join(served.folder, 'default.castr/'));
  const [id] = served.ids;
  const path = chunkPath(id).replace('/default.castr', '');
  t.deepEqual((await exchange(address, { path })).body, storedChunk(served, id));
  t.is((await exchange(address, { path: chunkPath(id) })).status, 404);
});

test('nothing else is given away, and nothing is listed', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  const targets = ['/', '/secret.txt', '/x.catar', '/default.castr/', '/%2e%2e/etc/passwd'];
  for (const target of [...targets, '/../../../etc/passwd', '//x.caibx', 'http://h/x.caibx', '*']) {
    const request = `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
    const answer = await rawExchange(address, request);
    t.false(
      statusesIn(answer).some((status) => status < 400),
      target,
    );
    t.notRegex(answer, /secret|root:/);
  }
});

test('a link leads nowhere outside, to an index inside, and never to another file', async (t) => {
  const served = await folderToServe(t);
  const { folder, ids } = served;
  const outside = await folderToServe(t);
  fs.symlinkSync(join(outside.folder, 'x.caibx'), join(folder, 'out.caibx'));
  fs.symlinkSync(outside.folder, join(folder, 'out'));
  fs.symlinkSync(join(outside.folder, 'default.castr'), join(folder, 'out.castr'));
  fs.symlinkSync('secret.txt', join(folder, 'secret.caibx'));
  fs.symlinkSync('x.caibx', join(folder, 'latest.caibx'));
  fs.symlinkSync('default.castr', join(folder, 'same.castr'));
  const { address } = await startServer(t, folder);
  const statusOf = async (path: string): Promise<number> =>
    (await exchange(address, { path })).status;
  t.is(await statusOf('/out.caibx'), 404);
  t.is(await statusOf('/out/x.caibx'), 404);
  t.is(await statusOf(chunkPath(outside.ids[0], 'out.castr')), 404);
  t.is(await statusOf(chunkPath(outside.ids[0], 'out/default.castr')), 404);
  t.is(await statusOf('/secret.caibx'), 404);
  t.is(await statusOf('/latest.caibx'), 200);
  t.is(await statusOf(chunkPath(ids[0], 'same.castr')), 200);
});

test('a link at the name of a chunk says that the chunk is missing', async (t) => {
  const served = await folderToServe(t);
  const [id, other] = served.ids;
  fs.rmSync(join(served.folder, chunkPath(id)));
  fs.symlinkSync(join(served.folder, chunkPath(other)), join(served.folder, chunkPath(id)));
  const { address } = await startServer(t, served.folder);
  t.is((await exchange(address, { path: chunkPath(id) })).status, 404);
  t.is((await exchange(address, { path: chunkPath(id), method: 'HEAD' })).status, 404);
});

test('folders, fifos and sockets under good names are not there', async (t) => {
  const { folder } = await folderToServe(t);
  fs.mkdirSync(join(folder, 'folder.caibx'));
  execFileSync('mkfifo', [join(folder, 'fifo.caibx')]);
  const { address } = await startServer(t, folder);
  for (const path of ['/folder.caibx', '/fifo.caibx', '/x.caibx/x.caibx']) {
    t.is((await exchange(address, { path })).status, 404, path);
  }
});

test('the folder may be replaced while it is served', async (t) => {
  const { folder, index } = await folderToServe(t);
  const place = join(folder, 'place');
  fs.mkdirSync(place);
  const { address } = await startServer(t, place);
  fs.renameSync(place, join(folder, 'old'));
  fs.mkdirSync(place);
  fs.writeFileSync(join(place, 'y.caibx'), index);
  t.is((await exchange(address, { path: '/y.caibx' })).status, 200);
});

test('every method but those for reading is refused', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const { address } = await startServer(t, folder);
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE']) {
    for (const path of ['/x.caibx', chunkPath(ids[0]), '/nothing.caibx', '/metrics']) {
      const reply = await exchange(address, { method, path });
      t.is(reply.status, 405, `${method} ${path}`);
      t.is(reply.headers.allow, 'GET, HEAD');
    }
  }
  t.true(fs.existsSync(join(folder, 'x.caibx')));
});

test('what fails inside is not told to requesters', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const failures: unknown[] = [];
  const { address } = await startServer(t, folder, { onFailure: (error) => failures.push(error) });
  const path = join(folder, chunkPath(ids[0]));
  // A name that no file can have is missing, not a failure.
  const long = `/${'x'.repeat(300)}.caibx`;
  t.is((await exchange(address, { path: long })).status, 404);
  fs.rmSync(path);
  t.is((await exchange(address, { path: chunkPath(ids[0]) })).body.toString(), 'Not found.\n');
  t.deepEqual(failures, []);
});

test('a server on a socket of the file system, also where one was left behind', async (t) => {
  const { folder } = await folderToServe(t);
  const path = join(folder, 'socket');
  const listen = `unix:${path}`;
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  t.throws(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' }));
  t.true(fs.existsSync(path));
  const server = await startServer(t, folder, { listen });
  t.is(server.address, listen);
  t.is((await exchange(listen, { path: '/x.caibx' })).status, 200);
  const error = await t.throwsAsync(startServer(t, folder, { listen }));
  t.regex(error.message, /Address already in use/);
});
