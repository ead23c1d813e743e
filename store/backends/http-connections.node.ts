/**
 * Connections to HTTP servers, kept alive and used for one request at a time: to each origin as many as
 * there are requests under way. One is taken from a stack, so that those that are warm are used, and the
 * others close by themselves; undici's own pools look through all their connections for each request.
 */

import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import type * as Undici from 'undici';
import type { Client, Dispatcher, ProxyAgent } from 'undici';

export type UndiciModule = typeof Undici;
type RequestOptions = Omit<Dispatcher.DispatchOptions, 'origin'>;

/** How long a connection is kept that nobody uses, unless the server says another time. */
const KEEP_ALIVE_MS = 15_000;
const LONGEST_CONNECT_MS = 10_000;
/** The pause after which the next address of a host is tried beside the first. */
const NEXT_ADDRESS_MS = 250;
const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** The proxy for an origin. */
export interface HttpProxy {
  /** Without a login. */
  readonly origin: string;
  /** Value of the Proxy-Authorization header. */
  readonly authorization?: string;
}

export interface ConnectionOptions {
  /** How long nothing may happen. */
  readonly timeoutMs: number;
  /** Whom to trust, and who we are; asked for where connections are encrypted. */
  readonly secureContext: () => SecureContext;
  /** The same for the way to the proxy. */
  readonly proxySecureContext: () => SecureContext;
  readonly proxy?: HttpProxy;
}

/** One connection, used for one request at a time. */
export interface Connection {
  /** Whether it has carried a request before: then the server may just be closing it. */
  readonly wasUsed: boolean;
  dispatch(options: RequestOptions, handler: Dispatcher.DispatchHandler): void;
  /** Gives it back after a whole answer. */
  release(): void;
  /** Gives it back after anything else. */
  drop(): void;
}

/** The connections to one origin. */
export interface Connections {
  /** @param isFresh whether it must be a new one */
  take(isFresh: boolean): Connection;
  /** Cuts them all. */
  close(): Promise<void>;
}

/** @param origin `http://host:port` or `https://host:port` */
export function openConnections(
  undici: UndiciModule,
  origin: string,
  options: ConnectionOptions,
): Connections {
  const { proxy } = options;
  if (proxy === undefined) return new DirectConnections(undici, origin, options);
  if (origin.startsWith('https:')) return openTunnels(undici, origin, proxy, options);
  const { timeoutMs, proxySecureContext: secureContext } = options;
  const toProxy = { timeoutMs, secureContext, proxySecureContext: secureContext };
  return new DirectConnections(undici, proxy.origin, toProxy, viaProxy(origin, proxy));
}

/** Makes a request one for a proxy, which is told the whole URL. */
type Rewrite = (options: RequestOptions) => RequestOptions;

function viaProxy(origin: string, { authorization }: HttpProxy): Rewrite {
  const { host } = new URL(origin);
  const added = ['host', host];
  if (authorization !== undefined) added.push('proxy-authorization', authorization);
  return (options) => {
    const headers = Array.isArray(options.headers) ? [...added, ...options.headers] : added;
    return { ...options, path: `${origin}${options.path}`, headers };
  };
}

function connectOptions(
  origin: string,
  timeoutMs: number,
  secureContext: () => SecureContext,
): Record<string, unknown> {
  return {
    ...(origin.startsWith('https:') ? { secureContext: secureContext() } : {}),
    timeout: Math.min(timeoutMs, LONGEST_CONNECT_MS),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    lookup: lookUp,
  };
}

/** As usual, but `localhost` is this machine on either family, whatever the resolver knows. */
const lookUp: LookupFunction = (name, options, callback) => {
  lookup(name, { ...options, all: true }, (error, found) => {
    const isHere = name === 'localhost';
    const addresses = isHere ? withLoopback(found ?? []) : found;
    if (error !== null && !isHere) callback(error, []);
    else if (options.all === true) callback(null, addresses);
    else callback(null, addresses[0].address, addresses[0].family);
  });
};

function withLoopback(found: readonly LookupAddress[]): LookupAddress[] {
  const missing = LOOPBACK.filter(({ family }) => !found.some((each) => each.family === family));
  return [...found, ...missing];
}

function clientOptions({ timeoutMs }: ConnectionOptions): Client.Options {
  return {
    pipelining: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    allowH2: false,
  };
}

class DirectConnections implements Connections {
  readonly #undici: UndiciModule;
  readonly #origin: string;
  readonly #options: Client.Options;
  readonly #rewrite: Rewrite | undefined;
  readonly #idle: DirectConnection[] = [];
  readonly #all = new Set<DirectConnection>();

  constructor(undici: UndiciModule, origin: string, options: ConnectionOptions, rewrite?: Rewrite) {
    this.#undici = undici;
    this.#origin = origin;
    this.#rewrite = rewrite;
    // One connector for all: it remembers TLS sessions.
    const connect = undici.buildConnector(
      connectOptions(origin, options.timeoutMs, options.secureContext),
    );
    this.#options = { ...clientOptions(options), connect };
  }

  take(isFresh: boolean): Connection {
    const idle = isFresh ? undefined : this.#idle.pop();
    if (idle !== undefined) return idle;
    const client = new this.#undici.Client(this.#origin, this.#options);
    const connection = new DirectConnection(client, this.#rewrite, (given, isGood) => {
      if (isGood) this.#idle.push(given);
      else this.#all.delete(given);
    });
    this.#all.add(connection);
    return connection;
  }

  async close(): Promise<void> {
    const all = [...this.#all];
    this.#all.clear();
    this.#idle.length = 0;
    await Promise.all(all.map((connection) => connection.destroy()));
  }
}

class DirectConnection implements Connection {
  readonly #client: Client;
  readonly #rewrite: Rewrite | undefined;
  readonly #giveBack: (connection: DirectConnection, isGood: boolean) => void;
  wasUsed = false;

  constructor(
    client: Client,
    rewrite: Rewrite | undefined,
    giveBack: (connection: DirectConnection, isGood: boolean) => void,
  ) {
    this.#client = client;
    this.#rewrite = rewrite;
    this.#giveBack = giveBack;
  }

  dispatch(options: RequestOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(this.#rewrite?.(options) ?? options, handler);
  }

  release(): void {
    this.wasUsed = true;
    this.#giveBack(this, true);
  }

  drop(): void {
    this.#giveBack(this, false);
    void this.destroy();
  }

  async destroy(): Promise<void> {
    await this.#client.destroy();
  }
}

/** Connections through CONNECT, which undici keeps. */
function openTunnels(
  undici: UndiciModule,
  origin: string,
  proxy: HttpProxy,
  options: ConnectionOptions,
): Connections {
  const agent: ProxyAgent = new undici.ProxyAgent({
    ...clientOptions(options),
    uri: proxy.origin,
    ...(proxy.authorization === undefined ? {} : { token: proxy.authorization }),
    requestTls: connectOptions(origin, options.timeoutMs, options.secureContext),
    proxyTls: connectOptions(proxy.origin, options.timeoutMs, options.proxySecureContext),
  });
  const connection: Connection = {
    wasUsed: false,
    dispatch: (request, handler) => void agent.dispatch({ ...request, origin }, handler),
    release: () => {},
    drop: () => {},
  };
  return { take: () => connection, close: () => agent.destroy() };
}
