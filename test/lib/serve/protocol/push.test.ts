/** The taking side of the casync protocol, alone with a client that says what the test wants. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type ChunkId, parseChunkId } from '../../../../formats/chunk-id.ts';
import { PROTOCOL_FLAG as F } from '../../../../formats/protocol-flags.ts';
import type { Message } from '../../../../formats/remote-protocol.ts';
import { openOutput } from '../../../../lib/api/output.node.ts';
import {
  type PushOptions,
  pushServices,
  servePush,
} from '../../../../lib/serve/protocol/push.node.ts';
import { describeServedStores } from '../../../../lib/serve/protocol/served-stores.node.ts';
import { connect, receive, receiveAll, speak } from '../../../helpers/conversation.ts';
import { GOLDEN, golden, goldenChunks } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const STORE = 'stores/zstd-sha512-256.castr';
const INDEX = golden('blob-index/text-default.caibx');
const STORED = new Map(goldenChunks(STORE).map(({ id, stored }) => [id, stored]));
/** The chunks of the index. */
const IDS = Array.from({ length: (INDEX.length - 104) / 40 }, (_, i) => {
  const bytes = INDEX.subarray(72 + 40 * i, 104 + 40 * i);
  return idOf(Buffer.from(bytes).toString('hex'));
});
const PUSH_INDEX = F.PUSH_INDEX | F.PUSH_CHUNKS | F.PUSH_INDEX_CHUNKS;

function idOf(text: string): ChunkId {
  const id = parseChunkId(text);
  if (id === undefined) throw new Error(`no chunk id: ${text}`);
  return id;
}

interface Session {
  readonly folder: string;
  readonly client: ReturnType<typeof speak>;
  readonly taken: Promise<void>;
  readonly end: () => void;
}

async function take(
  t: ExecutionContext,
  flags: number,
  more: Partial<PushOptions> = {},
): Promise<Session> {
  const folder = temporaryFolder(t);
  const { client, server } = await connect();
  const options = optionsIn(folder, more);
  const taken = servePush(speak(server, pushServices(options)), options);
  taken.catch(() => {});
  return { folder, client: speak(client, flags), taken, end: () => client.output.end() };
}

function optionsIn(folder: string, more: Partial<PushOptions> = {}): PushOptions {
  return {
    index: () => openOutput({ output: join(folder, 'x.caibx') }),
    archive: () => openOutput({ output: join(folder, 'x.catar') }),
    stores: describeServedStores([join(folder, 'x.castr')], { sync: 'none' }),
    ...more,
  };
}

/** Everything that can be seen in the folder, temporary files included. */
function seen(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .toSorted();
}

function chunkFiles(ids: readonly ChunkId[]): readonly string[] {
  return [...new Set(ids)].map((id) => `${id}.cacnk`).toSorted();
}

function chunk(id: ChunkId, isPlain = false, bytes = STORED.get(id)): Message {
  return { kind: 'chunk', id, isPlain, bytes: bytes ?? new Uint8Array(1) };
}

async function sendIndex({ client }: Session, bytes = INDEX): Promise<void> {
  await receive(client, 1);
  await client.send({ kind: 'index', bytes });
  await client.send({ kind: 'index-eof' });
}

/** The chunks that are asked for, until all of `count` are. */
async function requested({ client }: Session, count: number): Promise<readonly ChunkId[]> {
  const ids: ChunkId[] = [];
  while (ids.length < count) {
    const [message] = await receive(client, 1);
    if (message?.kind !== 'request') throw new Error(`not a request: ${message?.kind}`);
    ids.push(...message.ids);
  }
  return ids;
}

test('an index appears when all its chunks are there, and then the client is told', async (t) => {
  const session = await take(t, PUSH_INDEX);
  const { client, taken, folder } = session;
  await sendIndex(session);
  t.deepEqual([...(await requested(session, IDS.length))].toSorted(), [...IDS].toSorted());
  for (const id of IDS.slice(1)) await client.send(chunk(id));
  t.false(existsSync(join(folder, 'x.caibx')));
  await client.send(chunk(IDS[0]));
  t.deepEqual(await receiveAll(client), [{ kind: 'goodbye' }]);
  await taken;
  t.deepEqual(new Uint8Array(readFileSync(join(folder, 'x.caibx'))), INDEX);
  t.deepEqual(seen(folder), [...chunkFiles(IDS), 'x.caibx']);
  const [id] = IDS;
  const stored = readFileSync(join(folder, 'x.castr', id.slice(0, 4), `${id}.cacnk`));
  t.deepEqual(new Uint8Array(stored), STORED.get(id), 'stored as it came');
});

test('what any of the stores has is not asked for', async (t) => {
  const folders = [join(temporaryFolder(t), 'first.castr'), join(GOLDEN, STORE)];
  const session = await take(t, PUSH_INDEX, { stores: describeServedStores(folders, {}) });
  await sendIndex(session);
  t.deepEqual(await receiveAll(session.client), [{ kind: 'goodbye' }]);
  await session.taken;
  t.deepEqual(seen(session.folder), ['x.caibx']);
  t.false(existsSync(folders[0]), 'nothing was put there');
});

test('plain chunks are compressed', async (t) => {
  const plain = golden('blobs/text');
  const session = await take(t, PUSH_INDEX);
  await sendIndex(session);
  await requested(session, IDS.length);
  let start = 0;
  for (const [i, id] of IDS.entries()) {
    const end = Number(
      new DataView(INDEX.buffer, INDEX.byteOffset).getBigUint64(64 + 40 * i, true),
    );
    await session.client.send(chunk(id, true, plain.subarray(start, end)));
    start = end;
  }
  t.deepEqual(await receiveAll(session.client), [{ kind: 'goodbye' }]);
  t.deepEqual(seen(session.folder), [...chunkFiles(IDS), 'x.caibx']);
});

test('chunks may come before they are asked for', async (t) => {
  const session = await take(t, PUSH_INDEX);
  const { client } = session;
  await receive(client, 1);
  await client.send({ kind: 'index', bytes: INDEX.subarray(0, 64) });
  for (const id of IDS) await client.send(chunk(id));
  await client.send({ kind: 'index', bytes: INDEX.subarray(64) });
  await client.send({ kind: 'index-eof' });
  t.deepEqual(await receiveAll(client), [{ kind: 'goodbye' }]);
  t.deepEqual(seen(session.folder), [...chunkFiles(IDS), 'x.caibx']);
});

const FAILURES: readonly {
  readonly how: string;
  readonly code: string;
  readonly messages: (ids: readonly ChunkId[]) => readonly Message[];
}[] = [
  {
    how: 'a chunk that the client does not have',
    code: 'CHUNK_MISSING',
    messages: ([id]) => [{ kind: 'missing', id }],
  },
  {
    how: 'a chunk with another content',
    code: 'CHUNK_DAMAGED',
    messages: ([id, other]) => [chunk(id, false, STORED.get(other))],
  },
  {
    how: 'a plain chunk with another content',
    code: 'CHUNK_DAMAGED',
    messages: ([id]) => [chunk(id, true, new Uint8Array(7))],
  },
  {
    how: 'a chunk that is no compressed stream',
    code: 'CHUNK_DAMAGED',
    messages: ([id]) => [chunk(id, false, new Uint8Array(100))],
  },
  {
    how: 'bytes behind the compressed stream',
    code: 'CHUNK_DAMAGED',
    messages: ([id]) => [
      chunk(id, false, Buffer.concat([STORED.get(id) ?? Buffer.alloc(0), Buffer.alloc(9)])),
    ],
  },
  {
    how: 'an early goodbye',
    code: 'UNAVAILABLE',
    messages: () => [{ kind: 'goodbye' }],
  },
  {
    how: 'a client that gives up',
    code: 'IO',
    messages: () => [{ kind: 'abort', errorNumber: 28, reason: 'no space' }],
  },
];

for (const { how, code, messages } of FAILURES) {
  test(`no index after ${how}; the client is told, and what was good stays`, async (t) => {
    const session = await take(t, PUSH_INDEX);
    const { client, taken, folder } = session;
    await sendIndex(session);
    await requested(session, IDS.length);
    const [good, ...rest] = IDS;
    await client.send(chunk(good));
    for (const message of messages(rest)) await client.send(message);
    const answers = await receiveAll(client);
    await t.throwsAsync(taken, { message: /./, code });
    t.deepEqual(
      answers.map(({ kind }) => kind),
      code === 'IO' ? [] : ['abort'],
    );
    t.deepEqual(seen(folder), chunkFiles([good]));
  });
}

test('a client that dies at any byte leaves no index and no temporary file', async (t) => {
  const recorded = golden('protocol/push-index.c2s');
  const property = fc.asyncProperty(fc.nat(recorded.length - 1), async (length) => {
    const folder = join(temporaryFolder(t), 'x');
    mkdirSync(folder);
    const { client, server } = await connect();
    client.input.resume();
    const options = optionsIn(folder);
    const taken = servePush(speak(server, pushServices(options)), options);
    client.output.end(recorded.subarray(0, length));
    await t.throwsAsync(taken);
    t.true(
      seen(folder).every((name) => name.endsWith('.cacnk')),
      seen(folder).join(' '),
    );
  });
  await fc.assert(property, { numRuns: 40, verbose: true });
});

test('whatever bytes arrive, what becomes visible is whole', async (t) => {
  const recorded = golden('protocol/push-index.c2s');
  const change = fc.tuple(fc.nat(recorded.length - 1), fc.nat(255));
  const property = fc.asyncProperty(
    fc.array(change, { minLength: 1, maxLength: 4 }),
    async (changes) => {
      const bytes = recorded.slice();
      for (const [at, value] of changes) bytes[at] = value;
      const folder = join(temporaryFolder(t), 'x');
      mkdirSync(folder);
      const { client, server } = await connect();
      client.input.resume();
      const options = optionsIn(folder);
      const taken = servePush(speak(server, pushServices(options)), options);
      client.output.end(bytes);
      await taken.catch(() => {});
      const names = seen(folder);
      t.true(
        names.every((name) => name.endsWith('.cacnk') || name === 'x.caibx'),
        names.join(' '),
      );
      if (names.includes('x.caibx')) t.true(names.length > 1);
    },
  );
  await fc.assert(property, { numRuns: 60, verbose: true });
});

test('an archive appears when it is complete', async (t) => {
  const session = await take(t, F.PUSH_ARCHIVE);
  const { client, folder, taken } = session;
  await receive(client, 1);
  await client.send({ kind: 'archive', bytes: Buffer.from('abc') });
  await client.send({ kind: 'archive', bytes: Buffer.from('def') });
  t.false(existsSync(join(folder, 'x.catar')));
  await client.send({ kind: 'archive-eof' });
  t.deepEqual(await receiveAll(client), [{ kind: 'goodbye' }]);
  await taken;
  t.is(readFileSync(join(folder, 'x.catar'), 'utf8'), 'abcdef');
});

test('an archive that ends early does not appear', async (t) => {
  const { client, folder, taken, end } = await take(t, F.PUSH_ARCHIVE);
  await receive(client, 1);
  await client.send({ kind: 'archive', bytes: Buffer.from('abc') });
  end();
  await t.throwsAsync(taken, { message: /ended before the archive was here/ });
  t.deepEqual(seen(folder), []);
});

test('chunks alone are taken until the client says goodbye, with ids of either digest', async (t) => {
  const { client, folder, taken } = await take(t, F.PUSH_CHUNKS);
  await receive(client, 1);
  const plain = Buffer.from('hello');
  const ids = ['sha512-256', 'sha256'].map((name) =>
    idOf(createHash(name).update(plain).digest('hex')),
  );
  for (const id of ids) await client.send(chunk(id, true, plain));
  await client.send({ kind: 'goodbye' });
  t.deepEqual(await receiveAll(client), [{ kind: 'goodbye' }]);
  await taken;
  t.deepEqual(seen(folder), chunkFiles(ids));
});

test('a signal gives everything up that is not complete', async (t) => {
  const controller = new AbortController();
  const session = await take(t, PUSH_INDEX, { signal: controller.signal });
  await sendIndex(session);
  await requested(session, IDS.length);
  controller.abort();
  await t.throwsAsync(session.taken, { code: 'ABORTED' });
  t.deepEqual(seen(session.folder), []);
});

test('an index whose chunks a store that fails may have is not published', async (t) => {
  const session = await take(t, PUSH_INDEX, {
    stores: describeServedStores(['/dev/null/x.castr'], { sync: 'none' }),
  });
  await sendIndex(session);
  await t.throwsAsync(session.taken);
  t.deepEqual(seen(session.folder), []);
});
