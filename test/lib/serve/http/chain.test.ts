/** A server whose place is another server: reads, uploads and failures pass through both. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openHttpBackend } from '../../../../store/backends/http.node.ts';
import { exchange } from '../../../helpers/http-exchange.ts';
import {
  BEARER,
  blobToUpload,
  chunkPath,
  filesBelow,
  folderToServe,
  startServer,
  startWritable,
  storedChunk,
  TOKEN,
} from '../../../helpers/served-folder.ts';

const settingsFor = () => ({ environment: { no_proxy: '*' }, token: TOKEN, attemptCount: 1 });

test('chunks and indexes of the other one, and nothing else', async (t) => {
  const served = await folderToServe(t);
  const first = await startServer(t, served.folder);
  const { address } = await startServer(t, `${first.address}/`, { settingsFor });
  const [id] = served.ids;
  const chunk = await exchange(address, { path: chunkPath(id) });
  t.deepEqual(chunk.body, storedChunk(served, id));
  t.is(chunk.headers.etag, `"${id}"`);
  t.deepEqual((await exchange(address, { path: '/x.caibx' })).body, Buffer.from(served.index));
  const range = await exchange(address, { path: '/x.caibx', headers: { range: 'bytes=8-15' } });
  t.deepEqual(range.body, Buffer.from(served.index.subarray(8, 16)));
  t.is((await exchange(address, { path: chunkPath(id), method: 'HEAD' })).status, 200);
  for (const path of ['/y.caibx', '/secret.txt', '/x.catar']) {
    t.is((await exchange(address, { path })).status, 404);
  }
});

test('uploads arrive at the other one, after they were checked here', async (t) => {
  const source = await blobToUpload(t);
  const first = await startWritable(t, source.place);
  const { address } = await startWritable(t, first.address, { settingsFor });
  const put = async (path: string, body: Uint8Array): Promise<number> =>
    (await exchange(address, { method: 'PUT', path, body, headers: BEARER })).status;
  t.is(await put('/x.caibx', source.index), 409);
  for (const id of new Set(source.ids)) {
    t.is(await put(chunkPath(id), storedChunk(source, id)), 201);
  }
  t.is(await put(chunkPath(source.ids[0]), Buffer.from('wrong')), 422);
  t.is(await put('/x.caibx', source.index), 201);
  t.deepEqual(readFileSync(join(source.place, 'x.caibx')), Buffer.from(source.index));
});

test('when the other one is gone, nothing is said to be missing', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const first = await startServer(t, folder);
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => void failures.push(error);
  const { address } = await startServer(t, first.address, { settingsFor, onFailure });
  await first.close();
  for (const path of ['/x.caibx', chunkPath(ids[0])]) {
    const reply = await exchange(address, { path });
    t.is(reply.status, 503);
    t.truthy(reply.headers['retry-after']);
  }
  t.is(failures.length, 2);
  t.false(failures.map(String).join().includes(TOKEN));
});

test('our client over HTTP takes and gives chunks as any backend does', async (t) => {
  const source = await blobToUpload(t);
  const { address } = await startWritable(t, source.place);
  const backend = await openHttpBackend(`${address}/default.castr`, settingsFor());
  t.teardown(() => backend.close());
  const [id] = source.ids;
  const key = chunkPath(id).slice('/default.castr/'.length);
  const stored = new Uint8Array(storedChunk(source, id));
  t.false(await backend.has([key]));
  t.is(await backend.stat(key), undefined);
  await t.throwsAsync(backend.get(key), { code: 'OBJECT_MISSING' });
  await t.throwsAsync(backend.put(key, stored.subarray(1), { ifAbsent: true }));
  t.is(await backend.put(key, stored, { ifAbsent: true }), 'stored');
  t.is(await backend.put(key, stored, { ifAbsent: true }), 'present');
  t.true(await backend.has([key]));
  t.is((await backend.stat(key))?.size, stored.length);
  t.deepEqual(await backend.get(key), stored);
  const range = { offset: 3, length: 10 };
  t.deepEqual(await backend.get(key, { range }), stored.slice(3, 13));
  await t.throwsAsync(backend.get(key, { maxSize: 10 }), { code: 'LIMIT_EXCEEDED' });
  await t.throwsAsync(backend.remove(key));
  t.true(filesBelow(source.place).includes(`default.castr/${key}`));
});

test('our client without a token reads and does not write', async (t) => {
  const source = await folderToServe(t);
  const { address } = await startWritable(t, source.folder);
  const settings = { environment: { no_proxy: '*' } };
  const backend = await openHttpBackend(`${address}/default.castr`, settings);
  t.teardown(() => backend.close());
  const key = chunkPath(source.ids[0]).slice('/default.castr/'.length);
  t.deepEqual(await backend.get(key), new Uint8Array(storedChunk(source, source.ids[0])));
  const other = key.replace(/.\.cacnk$/, 'x').replace(/x$/, '0.cacnk');
  await t.throwsAsync(backend.put(other, new Uint8Array(3)), { code: 'DENIED' });
});
