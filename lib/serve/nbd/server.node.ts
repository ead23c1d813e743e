/**
 * The sockets of the NBD server (spec/nbd.md, "The server"): where it listens, who is connected, and an
 * orderly end.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { NbdExport } from '../../../formats/nbd-options.ts';
import { toStorageError } from '../../../store/system-error.node.ts';
import { BufferPool } from '../buffer-pool.ts';
import type { ListenAddress } from '../listen-address.ts';
import type { BlockExport } from './block-export.ts';
import { SharedMemory } from './client-memory.ts';
import { NbdConnection, type NbdConnectionOptions } from './connection.node.ts';
import type { NbdServerLimits } from './limits.ts';
import { listenOnPath } from './unix-socket.node.ts';
import type { NbdAddress } from './uri.ts';

/** A place to listen, or a descriptor on which somebody listens already. */
export type NbdListener = ListenAddress | { readonly descriptor: number };

export interface NbdServerOptions {
  readonly blockExport: BlockExport;
  readonly described: NbdExport;
  readonly listeners: readonly NbdListener[];
  readonly limits: NbdServerLimits;
  /** Told of failures to read or write. */
  readonly onFailure: (error: unknown) => void;
}

export interface NbdServer {
  readonly addresses: readonly NbdAddress[];
  /**
   * Takes no more clients and refuses further requests; resolves when those under way are answered or
   * given up, and everything is closed.
   */
  close(): Promise<void>;
}

/** @throws CasError if an address cannot be listened on */
export async function openNbdServer(options: NbdServerOptions): Promise<NbdServer> {
  const { limits, blockExport, described, onFailure } = options;
  const connections = new Connections({
    ...{ blockExport, limits, onFailure },
    beginning: described,
    memory: new SharedMemory(limits),
    pool: new BufferPool((size) => Buffer.allocUnsafeSlow(size)),
  });
  const servers: Server[] = [];
  try {
    for (const listener of options.listeners) {
      const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true });
      server.on('connection', (socket) => connections.add(socket));
      await listen(server, listener);
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    addresses: servers.map((server, i) => addressOf(server, options.listeners[i])),
    async close() {
      const closed = servers.map(
        (server) => new Promise<void>((resolve) => server.close(() => resolve())),
      );
      await connections.close();
      await Promise.all(closed);
    },
  };
}

class Connections {
  readonly #options: NbdConnectionOptions;
  readonly #open = new Set<NbdConnection>();
  #isClosing = false;

  constructor(options: NbdConnectionOptions) {
    this.#options = options;
  }

  add(socket: Socket): void {
    if (this.#isClosing || this.#open.size >= this.#options.limits.maxConnections) {
      socket.destroy();
      return;
    }
    const connection = new NbdConnection(socket, this.#options);
    this.#open.add(connection);
    void connection.ended.then(() => this.#open.delete(connection));
  }

  /** Resolves when all are closed: first with all answers, then without those that take long. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const { closeTimeoutMs } = this.#options.limits;
    const open = [...this.#open];
    for (const connection of open) connection.close();
    const hurry = setTimeout(() => {
      for (const connection of open) connection.hurry();
    }, closeTimeoutMs / 2);
    const destroy = setTimeout(() => {
      for (const connection of open) connection.destroy();
    }, closeTimeoutMs);
    await Promise.all(open.map(({ ended }) => ended));
    clearTimeout(hurry);
    clearTimeout(destroy);
  }
}

async function listen(server: Server, listener: NbdListener): Promise<void> {
  if ('path' in listener) return listenOnPath(server, listener.path);
  const where = 'descriptor' in listener ? { fd: listener.descriptor } : listener;
  const subject =
    'descriptor' in listener
      ? `descriptor ${listener.descriptor}`
      : `${listener.host ?? ''}:${listener.port}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw toStorageError(error, subject, 'listen');
  });
}

function addressOf(server: Server, listener: NbdListener): NbdAddress {
  const address = server.address();
  if (typeof address === 'string' && address !== '') return { path: address };
  if (typeof address === 'object' && address !== null && 'port' in address) {
    return { host: address.address, port: address.port };
  }
  return 'descriptor' in listener ? listener : { path: '' };
}
