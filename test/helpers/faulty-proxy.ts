/**
 * Stands before one server and spoils what passes: an HTTP proxy that knows requests, and a plain one
 * for any other protocol. What happens to a request is decided by a function; `firstRequests` and
 * `sometimes` make the usual ones. Used by the tests of all remote storage.
 */
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to one request. Bytes are those of the body of the answer. */
export type Fault =
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** The connection is reset after so many bytes; before the head of the answer if it says -1. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** The connection is closed in good order after so many bytes, the announced length is kept. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  /** The request is taken and never answered. */
  | { readonly kind: 'hang' };

export interface ProxiedRequest {
  /** Counted from 0, over all connections. */
  readonly number: number;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
}

export type FaultChoice = (request: ProxiedRequest) => Fault | undefined;

export interface FaultyProxy {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** All requests so far. */
  readonly requests: readonly ProxiedRequest[];
  /** How many of them were spoiled. */
  faultCount(): number;
  /** The largest number of requests that were under way at a time. */
  mostAtATime(): number;
  connectionCount(): number;
  /** Other faults from now on. */
  setFaults(choice: FaultChoice): void;
  stop(): Promise<void>;
}

/** The fault for the first `count` requests, nothing for the others. */
export function firstRequests(count: number, fault: Fault): FaultChoice {
  return ({ number }) => (number < count ? fault : undefined);
}

/** One of the faults with the given probability, the same ones for the same seed. */
export function sometimes(
  probability: number,
  faults: readonly Fault[],
  seed: number,
): FaultChoice {
  const next = randomNumbers(seed);
  return () => (next() < probability ? faults[Math.floor(next() * faults.length)] : undefined);
}

/** Numbers from 0 up to 1 (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * @param origin of the server behind, for example `http://127.0.0.1:8080`. Requests arrive there with all
 * their headers, `Host` included, so that signatures stay valid.
 */
export async function startFaultyProxy(
  origin: string,
  choice: FaultChoice = () => undefined,
): Promise<FaultyProxy> {
  const agent = new http.Agent({ keepAlive: true });
  const requests: ProxiedRequest[] = [];
  let [choose, faults, underWay, most, connections] = [choice, 0, 0, 0, 0];
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const { method = '', url: target = '' } = request;
    const described = { number: requests.length, method, target };
    requests.push(described);
    const fault = choose(described);
    if (fault !== undefined) faults++;
    most = Math.max(most, ++underWay);
    response.once('close', () => underWay--);
    void answer(origin, agent, { request, response, fault });
  });
  server.on('connection', () => connections++);
  // A client may hold its bytes back until it is told to go on.
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    server.emit('request', request, response);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    faultCount: () => faults,
    mostAtATime: () => most,
    connectionCount: () => connections,
    setFaults: (other) => {
      choose = other;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}

interface Passing {
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
  readonly fault: Fault | undefined;
}

async function answer(origin: string, agent: http.Agent, passing: Passing): Promise<void> {
  const { request, response, fault } = passing;
  if (fault?.kind === 'hang') return void request.resume();
  if (fault?.kind === 'status') {
    const { status, retryAfter } = fault;
    request.resume();
    await once(request, 'end').catch(() => undefined);
    response.writeHead(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter });
    return void response.end(`answer ${status} of the faulty proxy\n`);
  }
  if (fault?.kind === 'reset' && fault.afterBytes < 0) return reset(response);
  if (fault?.kind === 'delay') await sleep(fault.milliseconds);
  const { method, headers } = request;
  const target = new URL(request.url ?? '/', origin);
  const onwards = http.request(target, { agent, method, headers, setHost: false });
  onwards.once('error', () => response.destroy());
  onwards.once('response', (incoming) => void passOn(incoming, response, fault));
  response.once('close', () => {
    if (!response.writableFinished) onwards.destroy();
  });
  request.pipe(onwards);
}

async function passOn(
  incoming: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, incoming.rawHeaders);
  if (fault?.kind !== 'reset' && fault?.kind !== 'truncate') return void incoming.pipe(response);
  response.flushHeaders();
  let left = fault.afterBytes;
  incoming.on('error', () => undefined);
  try {
    for await (const piece of incoming) {
      const bytes: Buffer = piece;
      response.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) break;
    }
  } catch {
    return void response.destroy();
  }
  if (left > 0) return void response.end();
  if (fault.kind === 'reset') return reset(response);
  response.socket?.end();
}

/** What was written before goes out first. */
function reset(response: http.ServerResponse): void {
  const { socket } = response;
  setImmediate(() => socket?.resetAndDestroy());
}

export interface FaultyTcpProxy {
  readonly port: number;
  connectionCount(): number;
  stop(): Promise<void>;
}

/** What happens to one connection: it is reset after so many bytes of the server, all bytes are delayed. */
export interface ConnectionFault {
  readonly resetAfterBytes?: number;
  readonly delayMs?: number;
}

/**
 * A proxy for any protocol.
 * @param port of the server behind, on 127.0.0.1
 * @param choose what happens to a connection, counted from 0
 */
export async function startFaultyTcpProxy(
  port: number,
  choose: (connection: number) => ConnectionFault | undefined,
): Promise<FaultyTcpProxy> {
  const sockets = new Set<net.Socket>();
  let count = 0;
  const server = net.createServer((client) => {
    const fault = choose(count++) ?? {};
    const backend = net.connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ]) {
      sockets.add(socket);
      socket.on('error', () => other.destroy()).on('close', () => other.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => void backend.write(bytes));
    client.on('end', () => backend.end());
    void passBytes(backend, client, fault);
  });
  return {
    port: await listen(server),
    connectionCount: () => count,
    stop: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function passBytes(
  backend: net.Socket,
  client: net.Socket,
  { resetAfterBytes = Number.POSITIVE_INFINITY, delayMs = 0 }: ConnectionFault,
): Promise<void> {
  let left = resetAfterBytes;
  try {
    for await (const piece of backend) {
      const bytes: Buffer = piece;
      if (delayMs > 0) await sleep(delayMs);
      client.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left > 0) continue;
      setImmediate(() => client.resetAndDestroy());
      return;
    }
    client.end();
  } catch {
    client.destroy();
  }
}

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1', 2048);
  await once(server, 'listening');
  // It must not keep a finished test alive.
  server.unref();
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return address.port;
}
