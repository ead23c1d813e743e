/** An index or archive over HTTP, by a URL of its own. */
import type { ObjectRange, SignalOption } from '../backend.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import type { LocationSettings } from '../location-settings.ts';
import type { FileWriter, RemoteFile, RemoteFileInfo } from '../remote-file.ts';
import { Retrier } from '../wrap/retry.ts';
import { retryOptions } from '../wrap/retry-options.ts';
import type { HttpClient } from './http-client.node.ts';
import type { Flow, Receiver } from './http-exchange.node.ts';
import { type Concern, isMissing, statusError } from './http-failure.node.ts';
import type { HttpHeaders } from './http-headers.ts';
import { announcedLength, refuseEncoded } from './http-receivers.node.ts';
import { HttpRequests } from './http-requests.node.ts';
import { Spool } from './http-spool.node.ts';

const OK = 200;
/** So much is received ahead of the reader, in bytes. */
const MOST_AHEAD = 2 * 1024 * 1024;

/** @param client belongs to the result from now on */
export function openHttpFileOf(client: HttpClient, settings: LocationSettings): RemoteFile {
  return new HttpFile(client, settings);
}

class HttpFile implements RemoteFile {
  readonly #client: HttpClient;
  readonly #requests: HttpRequests;
  readonly #settings: LocationSettings;

  constructor(client: HttpClient, settings: LocationSettings) {
    this.#client = client;
    this.#requests = new HttpRequests(client);
    this.#settings = settings;
  }

  get label(): string {
    return this.#client.label;
  }

  async stat({ signal }: SignalOption = {}): Promise<RemoteFileInfo> {
    const { target } = this.#client.address;
    const concern = this.#concern('stat');
    let found = await this.#requests.find(target, concern, signal);
    // Not all that can give parts say so, and not all that answer HEAD tell the size.
    if (found !== undefined && (found.hasRanges === undefined || found.size === undefined)) {
      found = await this.#requests.findByPart(target, concern, signal);
    }
    if (found === undefined) throw this.#missing('stat');
    const { size, version, hasRanges = false } = found;
    return {
      hasRanges,
      ...(size === undefined ? {} : { size }),
      ...(version === undefined ? {} : { version }),
    };
  }

  async *read({ signal }: SignalOption = {}): AsyncGenerator<Uint8Array> {
    const end = new AbortController();
    const either = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
    const receiver = new StreamReceiver(this.#concern('get'), () => this.#missing('get'));
    const request = { method: 'GET', target: this.#client.address.target } as const;
    const sent = this.#client
      .send(request, receiver, this.#concern('get'), either)
      .then(() => receiver.end(undefined))
      .catch((error: unknown) => receiver.end({ error }));
    try {
      yield* receiver.pieces();
    } finally {
      end.abort();
      await sent;
    }
  }

  async readRange(range: ObjectRange, { signal }: SignalOption = {}): Promise<Uint8Array> {
    const { target } = this.#client.address;
    try {
      return await this.#requests.get(target, { range }, this.#concern('get'), signal);
    } catch (error) {
      throw error instanceof ObjectMissing ? this.#missing('get') : error;
    }
  }

  async openWriter({ signal }: SignalOption = {}): Promise<FileWriter> {
    signal?.throwIfAborted();
    const spool = new Spool(this.#settings.environment.TMPDIR);
    return {
      write: (bytes) => spool.write(bytes),
      commit: async () => {
        try {
          await this.#put(spool, signal);
        } finally {
          await spool.close();
        }
      },
      discard: () => spool.close(),
    };
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** All of it is here, so that it can be sent again: nobody else could. */
  async #put(spool: Spool, signal: AbortSignal | undefined): Promise<void> {
    const retrier = new Retrier(this.label, retryOptions(this.#settings));
    const { target } = this.#client.address;
    const folder = target.replace(/\?.*$/s, '').replace(/[^/]*$/, '');
    const folders = folder === '/' ? [] : [folder];
    const body = (): ReturnType<Spool['content']> => spool.content();
    const wish = { body, length: spool.length, folders };
    const concern = this.#concern('put');
    await retrier.run(() => this.#requests.put(target, wish, concern, signal), signal);
  }

  #concern(step: string): Concern {
    return { subject: this.label, step };
  }

  #missing(step: string): ObjectMissing {
    const reason = 'File, URL or resource not found.';
    return new ObjectMissing({ ...this.#concern(step), reason });
  }
}

/** Hands an answer on piece by piece, and holds it back while nobody takes them. */
class StreamReceiver implements Receiver {
  readonly #concern: Concern;
  readonly #missing: () => ObjectMissing;
  #flow: Flow | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  #expected: number | undefined;
  #received = 0;
  #outcome: { readonly failure: { readonly error: unknown } | undefined } | undefined;
  #wake: () => void = () => {};

  constructor(concern: Concern, missing: () => ObjectMissing) {
    this.#concern = concern;
    this.#missing = missing;
  }

  begin(status: number, headers: HttpHeaders, flow: Flow): void {
    if (isMissing(status)) throw this.#missing();
    if (status !== OK) throw statusError(status, headers, this.#concern);
    refuseEncoded(headers, this.#concern);
    this.#expected = announcedLength(headers, this.#concern);
    this.#flow = flow;
  }

  take(bytes: Uint8Array): boolean {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#received += bytes.length;
    if (this.#queuedBytes > MOST_AHEAD && !this.#isPaused) {
      this.#isPaused = true;
      this.#flow?.pause();
    }
    this.#wake();
    return true;
  }

  finish(): void {
    if (this.#expected === undefined || this.#received === this.#expected) return;
    const reason = `${this.#received} bytes instead of ${this.#expected}`;
    throw new StorageError('UNAVAILABLE', { ...this.#concern, reason, retry: 'later' });
  }

  /** The exchange is over. */
  end(failure: { readonly error: unknown } | undefined): void {
    this.#outcome = { failure };
    this.#wake();
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const queue = this.#queue;
      this.#queue = [];
      this.#queuedBytes = 0;
      if (this.#isPaused) {
        this.#isPaused = false;
        this.#flow?.resume();
      }
      yield* queue;
      if (this.#queue.length > 0) continue;
      if (this.#outcome !== undefined) {
        if (this.#outcome.failure !== undefined) throw this.#outcome.failure.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
