/**
 * One request and its answer, with redirects on the way, and with a second connection where the first
 * one was just being closed by the server (spec/remote.md, "HTTP"). The hot path of all HTTP storage.
 */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { StorageError } from '../errors.ts';
import type { Connection, Connections } from './http-connections.node.ts';
import { type Concern, connectionError, isConnectionLoss } from './http-failure.node.ts';
import { type HttpHeaders, header } from './http-headers.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'MKCOL';
  /** Path and query. */
  readonly target: string;
  /** Names and values in turn; sent wherever the request is redirected to, so nothing secret. */
  readonly headers?: readonly string[];
  /** A stream is opened anew for each try; its length must be in the headers. */
  readonly body?: Uint8Array | (() => Readable);
  /** Whether redirects are answers like others: for what nobody else may get. */
  readonly keepsRedirects?: boolean;
}

/** Holds an answer back. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** Takes an answer. What it throws is what the exchange fails with. */
export interface Receiver {
  begin(status: number, headers: HttpHeaders, flow: Flow): void;
  /** @param bytes belong to the receiver @returns false if nothing more is needed */
  take(bytes: Uint8Array): boolean;
  /** The answer is complete. */
  finish(): void;
}

/** Where a request goes. */
export interface Destination {
  readonly origin: string;
  readonly connections: Connections;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

export interface ExchangeOptions {
  readonly request: HttpRequest;
  readonly receiver: Receiver;
  readonly concern: Concern;
  /** @param origin undefined for the first one, which alone is told credentials */
  readonly destination: (origin: string | undefined) => Destination;
}

const MOST_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Those that keep the method. */
const STRICT_REDIRECTS: ReadonlySet<number> = new Set([307, 308]);
/** More of an unwanted answer is not read to save the connection, in bytes. */
const MOST_IGNORED = 64 * 1024;

/** Makes the request. @throws CasError for all that can be expected; what the receiver throws */
export function exchange(options: ExchangeOptions, abort: AbortGroup | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    new Exchange(options, abort, resolve, reject).start();
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #abort: AbortGroup | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #destination: Destination;
  #target: string;
  #connection: Connection;
  #controller: Dispatcher.DispatchController | undefined;
  #hasBegun = false;
  #isSettled = false;
  /** What is known of the answer: where it leads, or why it is refused. */
  #location: URL | undefined;
  #failure: { readonly error: unknown } | undefined;
  #redirectCount = 0;
  #ignoredBytes = 0;

  constructor(
    options: ExchangeOptions,
    abort: AbortGroup | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#abort = abort;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#destination = options.destination(undefined);
    this.#target = options.request.target;
    this.#connection = this.#destination.connections.take(false);
  }

  start(): void {
    this.#abort?.add(this);
    this.#dispatch();
  }

  /** The signal has fired. */
  stop(reason: unknown): void {
    this.#settle(() => this.#reject(reason));
    this.#controller?.abort(reason instanceof Error ? reason : new Error('aborted'));
  }

  #dispatch(): void {
    const { method, headers, body } = this.#options.request;
    const own = this.#destination.headers;
    const request = {
      path: this.#target,
      method: method as Dispatcher.HttpMethod,
      headers: headers === undefined ? [...own] : [...own, ...headers],
      body: typeof body === 'function' ? body() : (body ?? null),
      // Undici would end the connection after each HEAD.
      reset: false,
    };
    try {
      this.#connection.dispatch(request, this);
    } catch (error) {
      this.onResponseError(undefined, error);
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isSettled) controller.abort(new Error('aborted'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HttpHeaders,
  ): void {
    if (status < 200 || this.#isSettled) return;
    this.#hasBegun = true;
    try {
      const location = this.#redirection(status, headers);
      if (location === undefined) this.#options.receiver.begin(status, headers, controller);
      this.#location = location;
    } catch (error) {
      this.#failure = { error };
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Uint8Array): void {
    if (this.#isSettled) return;
    if (this.#location !== undefined || this.#failure !== undefined) {
      this.#ignoredBytes += bytes.length;
      if (this.#ignoredBytes > MOST_IGNORED) this.#cut(controller);
      return;
    }
    try {
      if (this.#options.receiver.take(bytes)) return;
      this.#finish();
    } catch (error) {
      this.#failure = { error };
    }
    this.#cut(controller);
  }

  onResponseEnd(): void {
    this.#connection.release();
    this.#finish();
  }

  onResponseError(_controller: unknown, error: unknown): void {
    const connection = this.#connection;
    connection.drop();
    if (this.#isSettled) return;
    if (this.#location !== undefined || this.#failure !== undefined) this.#finish();
    // A server may close a connection at the moment when it is used again.
    else if (!this.#hasBegun && connection.wasUsed && isConnectionLoss(error)) {
      this.#connection = this.#destination.connections.take(true);
      this.#dispatch();
    } else this.#failWith(error);
  }

  /** Ends the answer without its rest; `onResponseError` follows. */
  #cut(controller: Dispatcher.DispatchController): void {
    controller.abort(new Error('enough'));
  }

  #finish(): void {
    if (this.#isSettled) return;
    if (this.#failure !== undefined) {
      this.#failWith(this.#failure.error);
      return;
    }
    try {
      if (this.#location !== undefined) {
        this.#follow(this.#location);
        return;
      }
      this.#options.receiver.finish();
      this.#settle(this.#resolve);
    } catch (refusal) {
      this.#failWith(refusal);
    }
  }

  #failWith(error: unknown): void {
    this.#settle(() => {
      try {
        this.#reject(connectionError(error, this.#options.concern));
      } catch (mistake) {
        this.#reject(mistake);
      }
    });
  }

  #settle(settle: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#abort?.delete(this);
    settle();
  }

  /** Where the answer leads, undefined if it is none that leads elsewhere. */
  #redirection(status: number, headers: HttpHeaders): URL | undefined {
    const location = header(headers, 'location');
    if (!REDIRECTS.has(status) || location === undefined) return undefined;
    const { method, keepsRedirects } = this.#options.request;
    if (keepsRedirects) return undefined;
    if (method !== 'GET' && method !== 'HEAD' && !STRICT_REDIRECTS.has(status)) return undefined;
    const base = `${this.#destination.origin}${this.#target}`;
    if (!URL.canParse(location, base))
      throw this.#refusal('Redirected to something that is no URL');
    const { protocol } = new URL(location, base);
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw this.#refusal('Redirected to something else than HTTP');
    }
    if (protocol === 'http:' && base.startsWith('https:')) {
      throw this.#refusal('Redirected from an encrypted to an open connection');
    }
    if (++this.#redirectCount > MOST_REDIRECTS) throw this.#refusal('Redirected too often');
    return new URL(location, base);
  }

  #refusal(reason: string): StorageError {
    return new StorageError('IO', { ...this.#options.concern, reason });
  }

  #follow(location: URL): void {
    const { origin, pathname, search } = location;
    this.#location = undefined;
    this.#controller = undefined;
    this.#hasBegun = false;
    this.#ignoredBytes = 0;
    if (origin !== this.#destination.origin) {
      this.#destination = this.#options.destination(origin);
    }
    this.#target = `${pathname}${search}`;
    this.#connection = this.#destination.connections.take(false);
    this.#dispatch();
  }
}

/** The exchanges that a signal ends: it has one listener, however many they are. */
export class AbortGroup {
  readonly #signal: AbortSignal;
  readonly #exchanges = new Set<{ stop(reason: unknown): void }>();
  readonly #stop = (): void => {
    for (const member of [...this.#exchanges]) member.stop(this.#signal.reason);
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(member: { stop(reason: unknown): void }): void {
    if (this.#exchanges.size === 0) this.#signal.addEventListener('abort', this.#stop);
    this.#exchanges.add(member);
  }

  delete(member: { stop(reason: unknown): void }): void {
    this.#exchanges.delete(member);
    if (this.#exchanges.size === 0) this.#signal.removeEventListener('abort', this.#stop);
  }
}
