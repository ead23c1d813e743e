/** The giving side of the casync protocol, alone with a client that says what the test wants. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../../../formats/bytes.ts';
import { type ChunkId, parseChunkId } from '../../../../formats/chunk-id.ts';
import { PROTOCOL_FLAG as F } from '../../../../formats/protocol-flags.ts';
import type { Message } from '../../../../formats/remote-protocol.ts';
import {
  type PullOptions,
  pullServices,
  servePull,
} from '../../../../lib/serve/protocol/pull.node.ts';
import { servedFile } from '../../../../lib/serve/protocol/served-file.node.ts';
import {
  describeServedStores,
  openServedStore,
} from '../../../../lib/serve/protocol/served-stores.node.ts';
import { ObjectMissing, StorageError } from '../../../../store/errors.ts';
import { connect, receive, receiveAll, speak } from '../../../helpers/conversation.ts';
import { GOLDEN, golden, goldenChunks } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const STORE = 'stores/zstd-sha512-256.castr';
const CHUNKS = goldenChunks(STORE);
const NOBODY = parseChunkId('0'.repeat(64)) as ChunkId;

function idOf(text: string): ChunkId {
  const id = parseChunkId(text);
  if (id === undefined) throw new Error(`no chunk id: ${text}`);
  return id;
}

/** Differences of long texts take very long to show. */
function shortOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const IDS = CHUNKS.map(({ id }) => idOf(id));

interface Session {
  readonly client: ReturnType<typeof speak>;
  readonly served: Promise<void>;
  readonly warnings: readonly string[];
  /** Says nothing more. */
  readonly end: () => void;
}

async function serve(flags: number, options: Partial<PullOptions>): Promise<Session> {
  const { client, server } = await connect();
  const warnings: string[] = [];
  const whole = { stores: [], warn: (text: string) => warnings.push(text), ...options };
  const stream = speak(server, pullServices(whole));
  const served = servePull(stream, whole);
  // Each test looks at how it ends when it wants to know.
  served.catch(() => {});
  const speaker = speak(client, flags);
  return { client: speaker, served, warnings, end: () => client.output.end() };
}

function storesAt(...folders: readonly string[]) {
  return Promise.all(describeServedStores(folders, {}).map(openServedStore));
}

function request(ids: readonly ChunkId[], isUrgent = false): Message {
  return { kind: 'request', isUrgent, ids };
}

function contentOf(messages: readonly Message[], kind: 'index' | 'archive'): Uint8Array {
  return concatBytes(messages.flatMap((message) => (message.kind === kind ? [message.bytes] : [])));
}

test('chunks come as they are stored, each once, and what is not there is said to be missing', async (t) => {
  const stores = await storesAt(join(GOLDEN, STORE));
  const { client, served, end } = await serve(F.PULL_CHUNKS, { stores });
  await receive(client, 1);
  await client.send(request([...IDS, NOBODY, ...IDS]));
  await client.send(request(IDS, true));
  end();
  const answers = await receiveAll(client);
  await served;
  const sent = answers.map((message) => {
    if (message.kind === 'missing') return `${message.id} missing`;
    if (message.kind !== 'chunk') return message.kind;
    return `${message.id} ${message.isPlain} ${shortOf(message.bytes)}`;
  });
  const wanted = CHUNKS.map(({ id, stored }) => `${id} false ${shortOf(stored)}`);
  t.deepEqual(sent.toSorted(), [...wanted, `${NOBODY} missing`].toSorted());
});

test('stores are asked in order, and plain chunks are sent as such', async (t) => {
  const folder = temporaryFolder(t);
  const [id] = IDS;
  const file = join(folder, id.slice(0, 4), id);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'plain');
  const stores = await storesAt(folder, join(GOLDEN, STORE));
  const { client, served, end } = await serve(F.PULL_CHUNKS, { stores });
  await receive(client, 1);
  await client.send(request([id, IDS[1]]));
  end();
  const [first, second] = await receiveAll(client);
  await served;
  t.deepEqual(first, {
    kind: 'chunk',
    id,
    isPlain: true,
    bytes: new Uint8Array(Buffer.from('plain')),
  });
  t.like(second, { kind: 'chunk', id: IDS[1], isPlain: false });
});

test('a chunk that no message can hold, and one without bytes, are refused and named', async (t) => {
  const folder = temporaryFolder(t);
  const sizes = [16 * 1024 * 1024 - 55, 16 * 1024 * 1024 - 56, 0];
  for (const [i, size] of sizes.entries()) {
    const file = join(folder, IDS[i].slice(0, 4), `${IDS[i]}.cacnk`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, new Uint8Array(size));
  }
  const { client, served, warnings, end } = await serve(F.PULL_CHUNKS, {
    stores: await storesAt(folder),
  });
  await receive(client, 1);
  await client.send(request(IDS.slice(0, 3)));
  end();
  const answers = new Map<string, string>();
  for (const message of await receiveAll(client))
    if ('id' in message) answers.set(message.id, message.kind);
  await served;
  t.deepEqual(
    IDS.slice(0, 3).map((id) => answers.get(id)),
    ['missing', 'chunk', 'missing'],
  );
  t.is(warnings.length, 2);
  for (const i of [0, 2])
    t.true(
      warnings.some((text) => text.includes(IDS[i])),
      warnings.join('\n'),
    );
});

test('index and archive come unasked, in pieces of 64 KiB at most', async (t) => {
  const folder = temporaryFolder(t);
  const big = new Uint8Array(200_000).map((_, i) => i % 251);
  writeFileSync(join(folder, 'x.catar'), big);
  const index = join(GOLDEN, 'blob-index/text-default.caibx');
  const { client, served, end } = await serve(F.PULL_INDEX | F.PULL_ARCHIVE, {
    index: servedFile(index, {}),
    archive: servedFile(join(folder, 'x.catar'), {}),
  });
  end();
  const messages = await receiveAll(client);
  await served;
  t.deepEqual(contentOf(messages, 'index'), golden('blob-index/text-default.caibx'));
  t.deepEqual(contentOf(messages, 'archive'), big);
  t.deepEqual(
    messages.filter(({ kind }) => kind.endsWith('-eof')).map(({ kind }) => kind),
    ['archive-eof', 'index-eof'],
  );
  for (const message of messages) if ('bytes' in message) t.true(message.bytes.length <= 65536);
});

test('what the client does not want is not read', async (t) => {
  const unread = {
    read(): AsyncIterable<Uint8Array> {
      throw new Error('read all the same');
    },
  };
  const { client, served, end } = await serve(F.PULL_CHUNKS, {
    index: unread,
    stores: await storesAt('/none'),
  });
  end();
  t.is((await receiveAll(client)).length, 1);
  await t.notThrowsAsync(served);
});

test('a client that leaves, says goodbye or does not even greet is no failure', async (t) => {
  for (const leave of ['greets', 'says goodbye', 'silent', 'breaks'] as const) {
    const { client, server } = await connect();
    const options = { stores: await storesAt(join(GOLDEN, STORE)), warn: () => t.fail() };
    const served = servePull(speak(server, pullServices(options)), options);
    if (leave !== 'silent') {
      const stream = speak(client, F.PULL_CHUNKS);
      await receive(stream, 1);
      if (leave === 'says goodbye') await stream.send({ kind: 'goodbye' });
      if (leave === 'breaks') await stream.send(request(IDS));
    }
    if (leave === 'breaks') server.output.destroy();
    if (leave !== 'says goodbye') client.output.end();
    await t.notThrowsAsync(served, leave);
  }
});

test('a signal ends the session without a failure', async (t) => {
  const controller = new AbortController();
  const { client, served } = await serve(F.PULL_CHUNKS, {
    stores: await storesAt(join(GOLDEN, STORE)),
    signal: controller.signal,
  });
  await receive(client, 1);
  controller.abort();
  await t.notThrowsAsync(served);
});

test('what cannot be read is told with its error number, and is never taken for missing', async (t) => {
  const denied = new StorageError('DENIED', { subject: 'store', reason: 'Permission denied' });
  const stores = [{ label: 'store', getStored: () => Promise.reject(denied) }];
  const { client, served } = await serve(F.PULL_CHUNKS, { stores });
  await receive(client, 1);
  await client.send(request(IDS.slice(0, 1)));
  const [abort] = await receive(client, 1);
  t.deepEqual(abort, { kind: 'abort', errorNumber: 13, reason: 'store: Permission denied' });
  t.is(await t.throwsAsync(served), denied);
});

test('an index that is not there aborts; whoever serves URLs chooses the number', async (t) => {
  const missing = new ObjectMissing({ subject: 'x', reason: 'gone' });
  const index = {
    // biome-ignore lint/correctness/useYield: fails before the first piece
    async *read(): AsyncGenerator<Uint8Array> {
      throw missing;
    },
  };
  for (const [options, errorNumber] of [
    [{}, 2],
    [{ abortNumber: () => 123 }, 123],
  ] as const) {
    const { client, served } = await serve(F.PULL_INDEX, { index, ...options });
    const [, abort] = await receive(client, 2);
    t.like(abort, { kind: 'abort', errorNumber });
    t.is(await t.throwsAsync(served), missing);
  }
});

test('many large chunks for a client that does not read do not pile up', async (t) => {
  const size = 1024 * 1024;
  let read = 0;
  const stores = [
    {
      label: 'store',
      async getStored() {
        read += size;
        return { bytes: new Uint8Array(size), isPlain: false };
      },
    },
  ];
  const { client, served, end } = await serve(F.PULL_CHUNKS, { stores });
  await receive(client, 1);
  const ids = Array.from({ length: 200 }, (_, i) => idOf(i.toString(16).padStart(64, '0')));
  await client.send(request(ids));
  for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
  t.true(read > 0);
  t.true(read <= 80 * size, `${read} bytes are held`);
  end();
  t.is((await receiveAll(client)).length, 200);
  await served;
});

async function outcomeOf(t: ExecutionContext, bytes: Uint8Array): Promise<void> {
  const { client, server } = await connect();
  const options = { stores: await storesAt(join(GOLDEN, STORE)), warn: () => {} };
  client.input.resume();
  const served = servePull(speak(server, pullServices(options)), options);
  client.output.end(bytes);
  await served.catch((error) => t.regex(String(error.message), /^casync protocol|^the client/));
}

test('garbage ends the session', async (t) => {
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) =>
    outcomeOf(t, bytes),
  );
  await fc.assert(property, { verbose: true });
  t.pass();
});

test('recorded sessions with broken bytes end the session', async (t) => {
  const recorded = golden('protocol/pull-chunks.c2s');
  const change = fc.tuple(fc.nat(recorded.length - 1), fc.nat(255));
  const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
    const bytes = recorded.slice();
    for (const [at, value] of changes) bytes[at] = value;
    return outcomeOf(t, bytes);
  });
  await fc.assert(property, { verbose: true });
  t.pass();
});
