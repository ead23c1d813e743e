/** Uploads: what is not proven good never becomes visible, and nobody without a token stores anything. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ChunkId } from '../../../../formats/chunk-id.ts';
import { encodeIndex } from '../../../../formats/index-codec.ts';
import { gc } from '../../../../lib/api/gc.node.ts';
import { createCodecs } from '../../../../lib/compress/codecs.node.ts';
import { createDigest } from '../../../../lib/digest/digest.node.ts';
import { noise } from '../../../helpers/golden.ts';
import {
  collect,
  connectTo,
  exchange,
  type HttpReply,
  type HttpRequest,
  rawExchange,
} from '../../../helpers/http-exchange.ts';
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
import { storeBlob, storeIn } from '../../../helpers/stored-blob.ts';

/** Leases come and go; what counts is what somebody could take for a chunk or index. */
function visible(folder: string): readonly string[] {
  return filesBelow(folder).filter((path) => /^[^.].*(\.cacnk|\.ca[ib][bd]x)$/.test(path));
}

function put(address: string, path: string, body: Uint8Array, headers: object = BEARER) {
  return exchange(address, { method: 'PUT', path, body, headers: { ...headers } });
}

const codecs = createCodecs();
const digest = createDigest('sha256');

async function compressed(plain: Uint8Array): Promise<{ id: ChunkId; stored: Uint8Array }> {
  return { id: digest.hash(plain), stored: Uint8Array.from(await codecs.zstd.compress(plain)) };
}

test('chunks are stored as they came, then their index, and can be read', async (t) => {
  const source = await blobToUpload(t);
  const { place, ids, index } = source;
  const { address } = await startWritable(t, place);
  for (const id of ids) {
    const stored = storedChunk(source, id);
    t.is((await put(address, chunkPath(id), stored)).status, 201);
    t.deepEqual(fs.readFileSync(join(place, chunkPath(id))), stored);
  }
  t.is((await put(address, '/x.caibx', index)).status, 201);
  t.deepEqual((await exchange(address, { path: '/x.caibx' })).body, Buffer.from(index));
  t.is((await put(address, '/x.caibx', index)).status, 204);
});

test('uploads side by side are all durable when they are answered', async (t) => {
  const source = await blobToUpload(t);
  const { address } = await startWritable(t, source.place);
  const send = (id: ChunkId): Promise<HttpReply> =>
    put(address, chunkPath(id), storedChunk(source, id));
  const replies = await Promise.all([...source.ids, ...source.ids].map(send));
  t.true(replies.every(({ status }) => status === 201 || status === 204));
  t.is(visible(source.place).length, new Set(source.ids).size);
});

test('chunks of any compression and of both digests are accepted', async (t) => {
  const { place } = await blobToUpload(t);
  const { address } = await startWritable(t, place);
  const plain = noise(5000);
  for (const name of ['sha256', 'sha512-256'] as const) {
    for (const codec of [codecs.zstd, codecs.xz, codecs.gzip]) {
      const mixed = Uint8Array.from([...plain, codec.name.charCodeAt(0), name.length]);
      const id = createDigest(name).hash(mixed);
      t.is(
        (await put(address, chunkPath(id), await codec.compress(mixed))).status,
        201,
        codec.name,
      );
    }
  }
});

const good = await compressed(noise(4000));
const other = await compressed(noise(4000, 2));
const bomb = await compressed(new Uint8Array(17 * 1024 * 1024));

const WRONG: readonly (readonly [string, Uint8Array, ChunkId, number])[] = [
  ['another chunk', other.stored, good.id, 422],
  ['a plain chunk', noise(4000), good.id, 422],
  ['nothing', new Uint8Array(0), good.id, 422],
  ['a truncated chunk', good.stored.subarray(0, -1), good.id, 422],
  ['a chunk with something behind it', Uint8Array.from([...good.stored, 0]), good.id, 422],
  ['two streams', Uint8Array.from([...good.stored, ...good.stored]), good.id, 422],
  ['a bomb', bomb.stored, bomb.id, 422],
  ['a flipped bit', good.stored.map((byte, i) => (i === 2000 ? byte ^ 1 : byte)), good.id, 422],
  ['more than a chunk can have', new Uint8Array(18 * 1024 * 1024), good.id, 413],
];

for (const [name, body, id, expected] of WRONG) {
  test(`refused, and nothing becomes visible: ${name}`, async (t) => {
    const { place } = await blobToUpload(t);
    const { address } = await startWritable(t, place);
    t.is((await put(address, chunkPath(id), body)).status, expected);
    t.deepEqual(visible(place), []);
    t.is((await put(address, chunkPath(good.id), good.stored)).status, 201);
  });
}

test('a chunk that is there stays as it is', async (t) => {
  const { place } = await blobToUpload(t);
  const { address } = await startWritable(t, place);
  const plain = noise(4000);
  const again = await codecs.xz.compress(plain);
  t.is((await put(address, chunkPath(good.id), good.stored)).status, 201);
  t.is((await put(address, chunkPath(good.id), again)).status, 204);
  const onlyNew = { ...BEARER, 'if-none-match': '*' };
  t.is((await put(address, chunkPath(good.id), again, onlyNew)).status, 412);
  t.deepEqual(fs.readFileSync(join(place, chunkPath(good.id))), Buffer.from(good.stored));
  t.is((await put(address, chunkPath(other.id), other.stored, onlyNew)).status, 201);
});

test('an index whose chunks are not all there is refused', async (t) => {
  const source = await blobToUpload(t);
  const { address } = await startWritable(t, source.place);
  const [first, ...rest] = new Set(source.ids);
  for (const id of rest) await put(address, chunkPath(id), storedChunk(source, id));
  const reply = await put(address, '/x.caibx', source.index);
  t.is(reply.status, 409);
  t.is(reply.body.toString(), `1 chunks are missing, such as ${first}.\n`);
  t.false(visible(source.place).includes('x.caibx'));
});

test('the chunks of an index may be in any store that its maker uses', async (t) => {
  const source = await blobToUpload(t);
  const first = await startWritable(t, source.place);
  for (const id of source.ids) {
    await put(first.address, chunkPath(id, 'big.castr'), storedChunk(source, id));
  }
  t.is((await put(first.address, '/sub/x.caibx', source.index)).status, 201);
  await first.close();
  const second = await startWritable(t, source.place);
  t.is((await put(second.address, '/y.caibx', source.index)).status, 409);
  const path = chunkPath(source.ids[0], 'big.castr');
  t.is((await exchange(second.address, { method: 'HEAD', path, headers: BEARER })).status, 200);
  t.is((await put(second.address, '/y.caibx', source.index)).status, 201);
});

test('what is no index is refused, and the one that is there stays', async (t) => {
  const source = await folderToServe(t);
  const { address } = await startWritable(t, source.folder);
  const bytes = Buffer.from(source.index);
  const wrong = [bytes.subarray(0, -1), Buffer.concat([bytes, bytes]), Buffer.alloc(0), noise(500)];
  for (const body of wrong) t.is((await put(address, '/x.caibx', body)).status, 422);
  t.deepEqual(fs.readFileSync(join(source.folder, 'x.caibx')), bytes);
});

test('an index is replaced only if it is the one that was meant', async (t) => {
  const { folder, index } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  const { headers } = await exchange(address, { path: '/x.caibx' });
  const ifMatch = { ...BEARER, 'if-match': headers.etag };
  t.is((await put(address, '/x.caibx', index, ifMatch)).status, 204);
  t.is((await put(address, '/x.caibx', index, ifMatch)).status, 412);
  t.is((await put(address, '/x.caibx', index, { ...BEARER, 'if-none-match': '*' })).status, 412);
  t.is((await put(address, '/y.caibx', index, { ...BEARER, 'if-none-match': '*' })).status, 201);
});

test('a token is needed: as bearer, or as the password of any user', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
  const statusOf = async (authorization: string | undefined): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await put(address, chunkPath(good.id), good.stored, headers)).status;
  };
  const longer = `${TOKEN}x`;
  const wrong = [
    undefined,
    '',
    'Bearer',
    `Bearer ${longer}`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    TOKEN,
  ];
  for (const value of [
    ...wrong,
    basic(TOKEN),
    basic(`${TOKEN}:`),
    basic(`u:${longer}`),
    'Basic x',
  ]) {
    t.is(await statusOf(value), 401, String(value));
  }
  const path = chunkPath(ids[0]);
  const { headers } = await exchange(address, { method: 'PUT', path });
  t.regex(String(headers['www-authenticate']), /Bearer.*Basic/);
  t.is(await statusOf(`bearer ${TOKEN}`), 201);
  t.is(await statusOf(basic(`anybody:${TOKEN}`)), 204);
});

test('nobody stores anything under another name', async (t) => {
  const source = await folderToServe(t);
  const { address } = await startWritable(t, source.folder);
  const before = filesBelow(source.folder);
  const id = good.id;
  for (const path of [
    ...['/x.catar', '/secret.txt', '/', '/../x.caibx', '/%2e%2e/x.caibx', '//x.caibx', '/.x.caibx'],
    ...[`/default.castr/${id}.cacnk`, `/default.castr/${id.slice(0, 4)}/${id}`, '/healthz'],
    ...[`/a/${id.slice(0, 4)}/${id}.cacnk`, '/default.castr/x.caibx', '/metrics'],
  ]) {
    t.is((await put(address, path, good.stored)).status, 403, path);
  }
  t.deepEqual(filesBelow(source.folder), before);
});

test('DELETE never', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  const reply = await exchange(address, { method: 'DELETE', path: '/x.caibx', headers: BEARER });
  t.is(reply.status, 405);
  t.is(reply.headers.allow, 'GET, HEAD, PUT');
  t.true(fs.existsSync(join(folder, 'x.caibx')));
});

test('parts and encodings are refused', async (t) => {
  const { place } = await blobToUpload(t);
  const { address } = await startWritable(t, place);
  const withHeader = (header: object) =>
    put(address, chunkPath(good.id), good.stored, { ...BEARER, ...header });
  t.is((await withHeader({ 'content-encoding': 'gzip' })).status, 415);
  t.is((await withHeader({ 'content-range': 'bytes 0-9/10' })).status, 400);
  t.deepEqual(visible(place), []);
});

test('nothing is written through a link that leads outside', async (t) => {
  const { folder } = await folderToServe(t);
  const outside = await folderToServe(t);
  const before = filesBelow(outside.folder);
  fs.symlinkSync(outside.folder, join(folder, 'out'));
  fs.symlinkSync(join(outside.folder, 'default.castr'), join(folder, 'out.castr'));
  const { address } = await startWritable(t, folder);
  for (const path of [chunkPath(good.id, 'out.castr'), chunkPath(good.id, 'out/default.castr')]) {
    t.is((await put(address, path, good.stored)).status, 403);
  }
  t.is((await put(address, '/out/y.caibx', outside.index)).status, 403);
  t.deepEqual(filesBelow(outside.folder), before);
});

test('folders are made one at a time: where there is none above, nothing is stored', async (t) => {
  const source = await folderToServe(t);
  const { address } = await startWritable(t, source.folder);
  t.is((await put(address, chunkPath(good.id, 'new.castr'), good.stored)).status, 201);
  t.is((await put(address, chunkPath(good.id, 'a/new.castr'), good.stored)).status, 409);
  t.is((await put(address, '/a/b/x.caibx', source.index)).status, 409);
  t.false(fs.existsSync(join(source.folder, 'a')));
});

test('an upload that breaks off leaves nothing', async (t) => {
  const { place } = await blobToUpload(t);
  const { address } = await startWritable(t, place);
  for (const share of [0, 0.5, 0.99]) {
    const socket = connectTo(address);
    const length = good.stored.length;
    socket.write(
      `PUT ${chunkPath(good.id)} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: ${length}\r\n\r\n`,
    );
    socket.end(good.stored.subarray(0, Math.floor(share * length)));
    await collect(socket);
  }
  t.deepEqual(visible(place), []);
});

test('who waits to be asked for the body is asked only if it is wanted', async (t) => {
  const { place } = await blobToUpload(t);
  const { address } = await startWritable(t, place);
  const head = (token: string) =>
    `PUT ${chunkPath(good.id)} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${good.stored.length}\r\n\r\n`;
  const refused = await rawExchange(address, head('wrong'));
  t.regex(refused, /^HTTP\/1.1 401/);
  t.regex(refused, /Connection: close/i);
  const socket = connectTo(address);
  const answer = collect(socket);
  socket.write(head(TOKEN));
  await new Promise<void>((resolve) => socket.once('data', () => resolve()));
  socket.write(good.stored);
  t.regex(await answer, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 201/);
});

test('uploads that would take too much memory wait for their turn', async (t) => {
  const { place } = await blobToUpload(t);
  const limits = { uploadMemoryBytes: good.stored.length - 1 };
  const { address } = await startWritable(t, place, { limits });
  const reply = await put(address, chunkPath(good.id), good.stored);
  t.is(reply.status, 503);
  t.is(reply.headers['retry-after'], '2');
});

test('while makers are active no gc removes what they rely on, and then it may', async (t) => {
  const source = await folderToServe(t);
  const store = storeIn(source.folder, 'default.castr');
  const index = await storeBlob(noise(30_000, 7), store);
  const server = await startWritable(t, source.folder);
  const { address } = server;
  const path = chunkPath(index.id(0));
  // A maker has asked, and been told that the chunk is there.
  t.is((await exchange(address, { method: 'HEAD', path, headers: BEARER })).status, 200);
  const collectGarbage = () =>
    gc({ indexes: [join(source.folder, 'x.caibx')], store: store.folder, waitMs: 0 });
  const error = await t.throwsAsync(collectGarbage());
  t.is((error as { code?: string }).code, 'LEASE_HELD');
  t.is((await put(address, '/y.caibx', encodeIndex(index))).status, 201);
  await server.close();
  fs.rmSync(join(source.folder, 'y.caibx'));
  t.is((await collectGarbage()).removedCount, index.count);
});

test('readers keep nobody from cleaning up, with a token or without', async (t) => {
  const source = await folderToServe(t);
  const { address } = await startWritable(t, source.folder);
  const path = chunkPath(source.ids[0]);
  const requests: HttpRequest[] = [{ path }, { path, headers: BEARER }, { path, method: 'HEAD' }];
  for (const request of requests) t.is((await exchange(address, request)).status, 200);
  const indexes = [join(source.folder, 'x.caibx')];
  const result = await gc({ indexes, store: join(source.folder, 'default.castr'), waitMs: 0 });
  t.is(result.removedCount, 0);
});

test('a server without tokens to check accepts nothing', async (t) => {
  const { folder } = await folderToServe(t);
  for (const text of ['', '\n# comment\n', 'short', `with space ${TOKEN}`, `\u{1f511}${TOKEN}`]) {
    const error = await t.throwsAsync(startServer(t, folder, { readTokens: () => text }));
    t.is((error as { code?: string }).code, 'USAGE');
    if (text.includes(TOKEN)) t.false(error.message.includes(TOKEN));
  }
});

test('tokens are read again on demand, and the old ones stay if that fails', async (t) => {
  const { folder } = await folderToServe(t);
  let text = TOKEN;
  const server = await startServer(t, folder, { readTokens: () => text });
  const statusWith = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await put(server.address, chunkPath(good.id), good.stored, headers)).status;
  };
  text = '';
  t.throws(() => server.reload());
  t.is(await statusWith(TOKEN), 201);
  text = '# two of them\nanother-canary-token\nyet-another-canary-token\n';
  server.reload();
  t.is(await statusWith(TOKEN), 401);
  t.is(await statusWith('another-canary-token'), 204);
  t.is(await statusWith('yet-another-canary-token'), 204);
});
