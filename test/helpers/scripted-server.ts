/** A server on 127.0.0.1 that answers with exactly the bytes that a test wants, right or wrong. */
import { once } from 'node:events';
import * as net from 'node:net';
import type { ExecutionContext } from 'ava';

export interface ScriptedRequest {
  /** Counted from 0, over all connections. */
  readonly number: number;
  readonly connection: number;
  readonly method: string;
  readonly target: string;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ScriptedAnswer {
  /** Head and body, as they are sent. */
  readonly bytes: string | Uint8Array;
  /** What comes after them; the connection is kept if left out. */
  readonly ending?: 'end' | 'reset';
}

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly ScriptedRequest[];
}

/** A whole answer with its length. */
export function answer(
  status: number,
  body: string | Uint8Array = '',
  headers: Readonly<Record<string, string>> = {},
): ScriptedAnswer {
  const bytes = Buffer.from(body);
  const fields = { 'Content-Length': String(bytes.length), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} Some Text\r\n${lines.join('')}\r\n`;
  return { bytes: Buffer.concat([Buffer.from(head, 'latin1'), bytes]) };
}

/** Requests with bodies need a Content-Length. The server ends with the test. */
export async function startScriptedServer(
  t: ExecutionContext,
  script: (request: ScriptedRequest) => ScriptedAnswer | undefined,
  host = '127.0.0.1',
): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = [];
  const sockets = new Set<net.Socket>();
  let connections = 0;
  const server = net.createServer((socket) => {
    const connection = connections++;
    let pending = '';
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.setEncoding('latin1').on('data', (text: string) => {
      pending += text;
      for (;;) {
        const [request, rest] = parse(pending, { number: requests.length, connection });
        if (request === undefined) return;
        pending = rest;
        requests.push(request);
        const given = script(request);
        if (given === undefined) return;
        socket.write(given.bytes);
        if (given.ending === 'end') socket.end();
        if (given.ending === 'reset') setImmediate(() => socket.resetAndDestroy());
        if (given.ending !== undefined) return;
      }
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${address.port}`, port: address.port, requests };
}

function parse(
  text: string,
  { number, connection }: { readonly number: number; readonly connection: number },
): readonly [ScriptedRequest | undefined, string] {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return [undefined, text];
  const [first, ...lines] = text.slice(0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0);
  if (text.length < bodyEnd) return [undefined, text];
  const [method, target] = first.split(' ');
  const body = text.slice(end + 4, bodyEnd);
  return [{ number, connection, method, target, headers, body }, text.slice(bodyEnd)];
}
