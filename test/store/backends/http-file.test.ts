/** Indexes and archives over HTTP. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { openHttpFile } from '../../../store/backends/http.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import type { RemoteFile } from '../../../store/remote-file.ts';
import { openRetryingFile } from '../../../store/wrap/retry-file.ts';
import { firstRequests, startFaultyProxy } from '../../helpers/faulty-proxy.ts';
import { noise, text } from '../../helpers/golden.ts';
import { NGINX_NEEDS, type Nginx, startNginx } from '../../helpers/nginx.ts';
import { requirement } from '../../helpers/requirements.ts';
import { answer, type ScriptedAnswer, startScriptedServer } from '../../helpers/scripted-server.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const CONTENT = noise(5_000_000);
const MISSING = 'File, URL or resource not found.';
const CLOCK = { now: () => 0, sleep: () => new Promise<void>((done) => setImmediate(done)) };

async function serve(t: ExecutionContext): Promise<{ nginx: Nginx; folder: string }> {
  const folder = join(temporaryFolder(t), 'served');
  mkdirSync(folder);
  writeFileSync(join(folder, 'x.catar'), CONTENT);
  const nginx = await startNginx({ folder, isWritable: true, makesFolders: false });
  t.teardown(() => nginx.stop());
  return { nginx, folder };
}

async function open(
  t: ExecutionContext,
  url: string,
  settings: Partial<LocationSettings> = {},
): Promise<RemoteFile> {
  const file = await openHttpFile(url, { environment: {}, timeoutMs: 5000, ...settings });
  t.teardown(() => file.close());
  return file;
}

/** Comparing large arrays with `deepEqual` takes minutes. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

async function readAll(file: RemoteFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read()) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}

test('a file is read as a whole and in parts', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx } = await serve(t);
  const file = await open(t, `${nginx.url}/x.catar?query=1`);
  t.is(file.label, `${nginx.url}/x.catar`);
  const info = await file.stat();
  t.is(info.size, CONTENT.length);
  t.true(info.hasRanges);
  t.truthy(info.version);
  t.true(isEqual(await readAll(file), CONTENT));
  for (const [offset, length] of [
    [0, 1],
    [4_999_999, 1],
    [1_000_000, 2_000_000],
    [4_999_990, 100],
    [5_000_000, 10],
    [6_000_000, 10],
  ]) {
    const expected = CONTENT.slice(offset, offset + length);
    const part = await file.readRange({ offset, length });
    t.true(isEqual(part, expected), `${offset}+${length}`);
  }
  t.true(nginx.requests().every((line) => line.includes('/x.catar?query=1')));
});

test('hundreds of parts can be asked for at a time', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx } = await serve(t);
  const file = await open(t, `${nginx.url}/x.catar`);
  const offsets = Array.from({ length: 300 }, (_, i) => i * 16_000 + 7);
  const parts = await Promise.all(offsets.map((offset) => file.readRange({ offset, length: 999 })));
  for (const [i, offset] of offsets.entries()) {
    t.deepEqual(parts[i], CONTENT.slice(offset, offset + 999));
  }
});

test('what is not there is said in the words of casync', async (t) => {
  for (const status of [404, 410]) {
    const server = await startScriptedServer(t, ({ method }) =>
      answer(status, method === 'HEAD' ? '' : 'page of an error'),
    );
    const file = await open(t, `${server.url}/x.caibx`);
    for (const action of [
      () => file.stat(),
      () => readAll(file),
      () => file.readRange({ offset: 0, length: 5 }),
    ]) {
      const error = await t.throwsAsync(action(), { code: 'OBJECT_MISSING' });
      t.like(error, { reason: MISSING, subject: `${server.url}/x.caibx` });
    }
  }
});

test('the page of an error never arrives as data', async (t) => {
  for (const [status, code] of [
    [403, 'DENIED'],
    [500, 'UNAVAILABLE'],
    [206, 'IO'],
    [304, 'IO'],
  ] as const) {
    const server = await startScriptedServer(t, () => answer(status, 'x'.repeat(200_000)));
    const file = await open(t, server.url);
    for await (const _ of tolerant(t, file, code)) t.fail();
  }
});

async function* tolerant(
  t: ExecutionContext,
  file: RemoteFile,
  code: string,
): AsyncGenerator<Uint8Array> {
  try {
    yield* file.read();
    t.fail('no error');
  } catch (error) {
    t.like(error, { code });
  }
}

test('a stream that is cut ends with an error', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx } = await serve(t);
  for (const kind of ['reset', 'truncate'] as const) {
    for (const afterBytes of [0, 1, 70_000, CONTENT.length - 1]) {
      const proxy = await startFaultyProxy(nginx.url, () => ({ kind, afterBytes }));
      t.teardown(() => proxy.stop());
      const file = await open(t, `${proxy.url}/x.catar`);
      const error = await t.throwsAsync(readAll(file), { code: 'UNAVAILABLE' });
      t.like(error, { retry: 'later' }, `${kind} after ${afterBytes}`);
    }
  }
});

test('behind retries, a stream that is cut goes on where it was', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx } = await serve(t);
  const fault = { kind: 'reset', afterBytes: 1_000_000 } as const;
  const proxy = await startFaultyProxy(nginx.url, firstRequests(4, fault));
  t.teardown(() => proxy.stop());
  const plain = await open(t, `${proxy.url}/x.catar`);
  const file = openRetryingFile(plain, { clock: CLOCK, random: () => 0 });
  t.true(isEqual(await readAll(file), CONTENT));
  t.true(proxy.faultCount() > 1);
});

test('not much more is received than is read', async (t) => {
  const size = 200_000_000;
  let sent = 0;
  const server = createServer((_request, response) => {
    response.on('error', () => undefined).writeHead(200, { 'Content-Length': size });
    const pieces = Readable.from(
      (function* () {
        for (; sent < size; sent += 100_000) yield new Uint8Array(100_000);
      })(),
    );
    pieces.pipe(response);
    response.once('close', () => pieces.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const file = await open(t, `http://127.0.0.1:${port}/`);
  let before = -1;
  for await (const _ of file.read()) {
    // Until the server cannot send more.
    while (sent > before) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    t.true(sent < 40_000_000, `${sent}`);
    break;
  }
  sent = 0;
  let received = 0;
  for await (const piece of file.read()) received += piece.length;
  t.is(received, size);
});

test('a signal ends a stream, with its reason', async (t) => {
  const half = { bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc' };
  const server = await startScriptedServer(t, () => half);
  const file = await open(t, server.url);
  const controller = new AbortController();
  const reason = new Error('stopped');
  await t.throwsAsync(
    async () => {
      for await (const piece of file.read({ signal: controller.signal })) {
        t.is(piece.length, 3);
        controller.abort(reason);
      }
    },
    { is: reason },
  );
});

test('whether parts can be read is found out where the server does not say', async (t) => {
  const part = answer(206, 'x', { 'Content-Range': 'bytes 0-0/9', ETag: '"v"' });
  for (const [head, get, expected] of [
    [
      answer(200, '', { 'Content-Length': '9' }),
      part,
      { size: 9, hasRanges: true, version: '"v"' },
    ],
    [
      answer(200, '', { 'Content-Length': '9' }),
      answer(200, '123456789'),
      { size: 9, hasRanges: false },
    ],
    [
      answer(200, '', { 'Content-Length': '9', 'Accept-Ranges': 'none' }),
      part,
      { size: 9, hasRanges: false },
    ],
    [answer(403), part, { size: 9, hasRanges: true, version: '"v"' }],
  ] as readonly (readonly [ScriptedAnswer, ScriptedAnswer, object])[]) {
    const server = await startScriptedServer(t, ({ method }) => (method === 'HEAD' ? head : get));
    const file = await open(t, server.url);
    t.deepEqual(await file.stat(), expected);
    t.deepEqual(await file.stat(), expected);
  }
});

test('a file appears when it is committed, as a whole, in a folder that is made', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, folder } = await serve(t);
  for (const size of [0, 1000, 20_000_000]) {
    const file = await open(t, `${nginx.url}/new/${size}.caibx`);
    const writer = await file.openWriter();
    const bytes = text(size);
    for (let i = 0; i < size; i += 999_999) {
      const piece = bytes.slice(i, i + 999_999);
      await writer.write(piece);
      piece.fill(0);
    }
    t.false(existsSync(join(folder, 'new', `${size}.caibx`)));
    await writer.commit();
    await writer.discard();
    t.true(isEqual(readFileSync(join(folder, 'new', `${size}.caibx`)), bytes));
  }
});

test('a file that is given up leaves the old one', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, folder } = await serve(t);
  const file = await open(t, `${nginx.url}/x.catar`);
  const writer = await file.openWriter();
  await writer.write(text(100));
  await writer.discard();
  t.is(readFileSync(join(folder, 'x.catar')).length, CONTENT.length);
  t.deepEqual(nginx.requests(), []);
});

test('a file is sent again after failures that pass, and only after those', async (t) => {
  if (!requirement(t, NGINX_NEEDS)) return;
  const { nginx, folder } = await serve(t);
  for (const size of [1000, 10_000_000]) {
    const proxy = await startFaultyProxy(
      nginx.url,
      firstRequests(2, { kind: 'reset', afterBytes: -1 }),
    );
    t.teardown(() => proxy.stop());
    const file = await open(t, `${proxy.url}/again.caibx`);
    const writer = await file.openWriter();
    await writer.write(text(size));
    await writer.commit();
    t.true(isEqual(readFileSync(join(folder, 'again.caibx')), text(size)));
  }
  const server = await startScriptedServer(t, () => answer(403));
  const writer = await (await open(t, server.url)).openWriter();
  await t.throwsAsync(writer.commit(), { code: 'DENIED' });
  t.is(server.requests.length, 1);
  const busy = await startScriptedServer(t, () => answer(503));
  const once = await (await open(t, busy.url, { attemptCount: 1 })).openWriter();
  await t.throwsAsync(once.commit(), { code: 'UNAVAILABLE' });
  t.is(busy.requests.length, 1);
});
