/**
 * The sockets of the HTTP server: listening, TLS, limits, and an orderly end (spec/remote.md, "The
 * server"). The parser of node:http is strict; what it refuses is answered here.
 */
import { unlinkSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemErrorCode, toStorageError } from '../../../store/system-error.node.ts';
import { type ListenAddress, listenUrl } from '../listen-address.ts';
import type { Connections } from './connections.node.ts';
import { type ExchangeOptions, exchange } from './exchange.node.ts';
import type { ServeLimits } from './limits.ts';
import type { TlsSettings } from './tls.node.ts';

export interface HttpServerOptions extends Omit<ExchangeOptions, 'connections'> {
  readonly listen: ListenAddress;
  readonly connections: Connections;
  readonly tls?: TlsSettings;
}

export interface HttpServer {
  /** `http://127.0.0.1:8080` or `unix:/path`. */
  readonly address: string;
  /** Connections from now on use these. */
  setTls(settings: TlsSettings): void;
  /** Takes no more requests; resolves when those under way are answered, or given up. */
  close(): Promise<void>;
}

/** Connections above the limit that are told so; further ones are closed without a word. */
const REFUSED_CONNECTIONS = 64;
const CHECK_INTERVAL_MS = 1000;
/** How long a client may take to read why its connection is closed. */
const LINGER_MS = 1000;

/** @throws StorageError if the address cannot be listened on */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { limits, listen, tls, connections } = options;
  const server = createServer(limits, tls);
  prepare(server, options);
  await listenOn(server, listen);
  return {
    address: addressOf(server, tls === undefined ? 'http' : 'https'),
    setTls(settings) {
      if (server instanceof https.Server) server.setSecureContext(settings);
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.closeIdle();
      const timer = setTimeout(() => connections.destroyAll(), limits.closeTimeoutMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

function createServer(limits: ServeLimits, tls: TlsSettings | undefined): http.Server {
  const settings: http.ServerOptions = {
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, limits.headersTimeoutMs),
    noDelay: true,
  };
  if (tls === undefined) return http.createServer(settings);
  return https.createServer({ ...settings, ...tls, handshakeTimeout: limits.headersTimeoutMs });
}

function prepare(server: http.Server, options: HttpServerOptions): void {
  const { limits, metrics, connections } = options;
  server.maxConnections = limits.maxConnections + REFUSED_CONNECTIONS;
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  server.timeout = limits.idleTimeoutMs;
  // Counted by ourselves: what is above it is refused, not left out.
  server.maxHeadersCount = 0;
  server.on(
    server instanceof https.Server ? 'secureConnection' : 'connection',
    (socket: Duplex) => {
      if (connections.add(socket)) metrics.refusedConnection();
    },
  );
  server.on('drop', () => metrics.refusedConnection());
  server.on('request', (request, response) => exchange(request, response, false, options));
  server.on('checkContinue', (request, response) => exchange(request, response, true, options));
  server.on('clientError', (error, socket) => {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) {
      socket.destroy();
      return;
    }
    const status = statusOf(error);
    metrics.clientError(status);
    refuseRaw(socket, status, connections);
  });
}

/** Nobody is there who could be answered. */
const GONE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

const STATUSES: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function statusOf(error: Error): number {
  return STATUSES[(error as NodeJS.ErrnoException).code ?? ''] ?? 400;
}

/** Answers what was no request, and closes the connection: nobody knows where the next one begins. */
function refuseRaw(socket: Duplex, status: number, connections: Connections): void {
  if (socket.writableEnded) return;
  if (!connections.canAnswer(socket)) {
    socket.destroy();
    return;
  }
  const reason = http.STATUS_CODES[status];
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

async function listenOn(server: http.Server, listen: ListenAddress): Promise<void> {
  try {
    await begin(server, listen);
  } catch (error) {
    const isStale = 'path' in listen && systemErrorCode(error) === 'EADDRINUSE';
    if (!isStale || (await isAnswered(listen.path))) throw listenError(error, listen);
    unlinkSync(listen.path);
    await begin(server, listen).catch((again: unknown) => {
      throw listenError(again, listen);
    });
  }
}

function listenError(error: unknown, listen: ListenAddress): unknown {
  const subject = 'path' in listen ? `unix:${listen.path}` : `${listen.host ?? ''}:${listen.port}`;
  return toStorageError(error, subject, 'listen');
}

function begin(server: http.Server, listen: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whether somebody listens on the socket, which is left behind by who was killed. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

function addressOf(server: http.Server, scheme: 'http' | 'https'): string {
  const address = server.address();
  if (address === null) return '';
  if (typeof address === 'string') return `unix:${address}`;
  return listenUrl(scheme, address.address, address.port);
}
