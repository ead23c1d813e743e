/** Requests to HTTP servers as tests need them: with any path and headers, or as raw bytes. */
import * as http from 'node:http';
import * as https from 'node:https';
import { connect, type Socket } from 'node:net';

export interface HttpRequest {
  readonly method?: string;
  /** Sent as it is. */
  readonly path: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
  readonly tls?: https.RequestOptions;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own. @param address `http://HOST:PORT` or `unix:PATH` */
export function exchange(address: string, request: HttpRequest): Promise<HttpReply> {
  const { method = 'GET', path, headers = {}, body, tls = {} } = request;
  const target = address.startsWith('unix:')
    ? { socketPath: address.slice('unix:'.length) }
    : { host: new URL(address).hostname, port: new URL(address).port };
  const { request: send } = address.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const sent = send({ ...target, ...tls, method, path, headers, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode = 0, headers: received } = response;
        resolve({ status: statusCode, headers: received, body: Buffer.concat(pieces) });
      });
    });
    sent.end(body);
  });
}

/** A connection to a server that speaks plain HTTP. */
export function connectTo(address: string): Socket {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  // What matters to tests is what came back, and that the end came.
  socket.on('error', () => {});
  return socket;
}

/** All that comes back until the server closes the connection. */
export async function collect(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return Buffer.concat(pieces).toString('latin1');
}

/** Sends bytes as they are. @returns all that comes back until the server closes the connection */
export function rawExchange(address: string, bytes: string | Uint8Array): Promise<string> {
  const socket = connectTo(address);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return collect(socket);
}

/** The status codes of the answers in what a server has sent. */
export function statusesIn(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
}
