import { PassThrough, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { concatBytes } from '../../../formats/bytes.ts';
import { chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import { FormatError } from '../../../formats/errors.ts';
import { encodeMessage, type Message } from '../../../formats/remote-protocol.ts';
import { MessageStream } from '../../../store/peer/message-stream.node.ts';

const ID = chunkIdFromBytes(new Uint8Array(32).fill(7));

/** Both sides of a conversation: a client that pulls chunks, and its server. */
function conversation(): { client: MessageStream; server: MessageStream } {
  const up = new PassThrough();
  const down = new PassThrough();
  return {
    client: new MessageStream(down, up, { flags: 0x40, label: 'server' }),
    server: new MessageStream(up, down, { flags: 0x1, label: 'client' }),
  };
}

function bytesOf(messages: readonly Message[]): Uint8Array {
  return concatBytes(messages.flatMap((message) => encodeMessage(message)));
}

/** A stream whose other side says only these bytes. */
function hearing(bytes: Uint8Array, flags = 0x40): { stream: MessageStream; input: PassThrough } {
  const input = new PassThrough();
  input.write(bytes);
  const stream = new MessageStream(input, new PassThrough(), { flags, label: 'peer' });
  return { stream, input };
}

const SERVER_HELLO: Message = { kind: 'hello', flags: 1 };

test('both sides hear the hello of the other one, then what it sends, then the end', async (t) => {
  const { client, server } = conversation();
  t.deepEqual(await client.receive(), SERVER_HELLO);
  t.deepEqual(await server.receive(), { kind: 'hello', flags: 0x40 });
  t.is(client.agreement?.theirs, 1);
  const request: Message = { kind: 'request', isUrgent: true, ids: [ID] };
  await client.send(request);
  await client.end();
  t.deepEqual(await server.receive(), request);
  t.is(await server.receive(), undefined);
  const chunk: Message = { kind: 'chunk', id: ID, isPlain: false, bytes: new Uint8Array(100_000) };
  void server.send(chunk);
  t.deepEqual(await client.receive(), chunk);
});

test('what was not agreed is not sent', async (t) => {
  const { client } = conversation();
  const chunk: Message = { kind: 'chunk', id: ID, isPlain: true, bytes: Uint8Array.of(1) };
  await t.throwsAsync(client.send(chunk), { instanceOf: TypeError });
  await client.receive();
  await t.throwsAsync(client.send(chunk), { instanceOf: TypeError });
});

test('who sends waits until the other side keeps up', async (t) => {
  const taken: (() => void)[] = [];
  const output = new Writable({
    highWaterMark: 1000,
    write: (_bytes, _encoding, done) => taken.push(done),
  });
  const input = new PassThrough();
  input.write(bytesOf([{ kind: 'hello', flags: 0x40 }]));
  const stream = new MessageStream(input, output, { flags: 1, label: 'slow' });
  await stream.receive();
  let isSent = false;
  const bytes = new Uint8Array(5000);
  const sending = stream.send({ kind: 'chunk', id: ID, isPlain: true, bytes }).then(() => {
    isSent = true;
  });
  for (let i = 0; i < 5; i++) await setImmediate();
  t.false(isSent);
  while (!isSent) {
    taken.shift()?.();
    await setImmediate();
  }
  await sending;
});

test('who sends is told when the other side does not read any more', async (t) => {
  const { stream } = hearing(bytesOf([SERVER_HELLO]));
  await stream.receive();
  stream.destroy();
  const sending = stream.send({ kind: 'request', isUrgent: false, ids: [ID] });
  await t.throwsAsync(sending, { code: 'UNAVAILABLE' });
});

test('garbage is refused', async (t) => {
  const { stream } = hearing(new TextEncoder().encode('Welcome to host, please log in:\n'));
  await t.throwsAsync(stream.receive(), { instanceOf: FormatError });
});

test('an end inside a message is a lost connection', async (t) => {
  const bytes = bytesOf([SERVER_HELLO, { kind: 'missing', id: ID }]);
  const { stream, input } = hearing(bytes.subarray(0, -1));
  input.end();
  await stream.receive();
  await t.throwsAsync(stream.receive(), { code: 'UNAVAILABLE', message: /inside a message/ });
});

test('a failure of the stream is told', async (t) => {
  const { stream, input } = hearing(bytesOf([SERVER_HELLO]));
  await stream.receive();
  const receiving = stream.receive();
  input.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  await t.throwsAsync(receiving, { code: 'UNAVAILABLE' });
});

test('silence is endured as long as it may last', async (t) => {
  const { stream, input } = hearing(bytesOf([SERVER_HELLO]));
  await stream.receive();
  const receiving = stream.receive();
  stream.setPatience(20);
  await t.throwsAsync(receiving, { code: 'UNAVAILABLE', message: /nothing has come for 0.02 s/ });
  input.write(bytesOf([{ kind: 'goodbye' }]));
  t.deepEqual(await stream.receive(), { kind: 'goodbye' });
});

test('who waits is told when the conversation is given up', async (t) => {
  const { stream } = hearing(bytesOf([SERVER_HELLO]));
  await stream.receive();
  const receiving = stream.receive();
  stream.destroy();
  t.is(await receiving, undefined);
});
