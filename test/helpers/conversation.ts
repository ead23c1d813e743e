/** Both ends of a connection in one process, for tests of the casync protocol. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Message } from '../../formats/remote-protocol.ts';
import { MessageStream, type StreamPair } from '../../store/peer/message-stream.node.ts';

export interface Connection {
  readonly client: StreamPair;
  readonly server: StreamPair;
}

let connections = 0;

/** Two sockets, as ssh gives them to the programs that it runs. */
export async function connect(): Promise<Connection> {
  // A name that is in no folder, and goes with the server.
  const path = `\0casync-test-${process.pid}-${connections++}`;
  const listener = createServer({ allowHalfOpen: true }).listen(path);
  await once(listener, 'listening');
  const accepted = once(listener, 'connection');
  const client = createConnection({ path, allowHalfOpen: true });
  const [server] = (await accepted) as [Socket];
  listener.close();
  return {
    client: { input: client, output: client },
    server: { input: server, output: server },
  };
}

/** @param flags of the hello */
export function speak({ input, output }: StreamPair, flags: number): MessageStream {
  return new MessageStream(input, output, { flags, label: 'the other side' });
}

/** The message, whose bytes stay valid. */
function kept(message: Message): Message {
  return 'bytes' in message ? { ...message, bytes: Uint8Array.from(message.bytes) } : message;
}

/** The next `count` messages, fewer only if the other side ends. */
export async function receive(stream: MessageStream, count: number): Promise<readonly Message[]> {
  const messages: Message[] = [];
  while (messages.length < count) {
    const message = await stream.receive();
    if (message === undefined) break;
    messages.push(kept(message));
  }
  return messages;
}

/** All messages until the other side ends. */
export function receiveAll(stream: MessageStream): Promise<readonly Message[]> {
  return receive(stream, Number.POSITIVE_INFINITY);
}
