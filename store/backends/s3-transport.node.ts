/**
 * Sends signed requests over the connections that all HTTP storage uses. Used by s3-client.node.ts.
 */
import type { LocationSettings } from '../location-settings.ts';
import { parseHttpAddress } from './http-address.ts';
import { BodyCollector } from './http-body.ts';
import { HttpClient } from './http-client.node.ts';
import type { Flow, Receiver } from './http-exchange.node.ts';
import type { HttpHeaders } from './http-headers.ts';
import { announcedLength, refuseEncoded } from './http-receivers.node.ts';
import type { S3Answer, S3Exchange, S3Transport } from './s3-client.node.ts';

/** Of the body of a refusal, in bytes: it says why in its first few lines. */
const LONGEST_REFUSAL = 64 * 1024;
const NOTHING = new Uint8Array();

/** @param label of the place, for messages */
export async function openS3Transport(
  label: string,
  settings: LocationSettings,
): Promise<S3Transport> {
  const undici = await import('undici');
  /** One for each region that the bucket was looked for in. */
  const clients = new Map<string, HttpClient>();

  function clientFor(origin: string): HttpClient {
    const known = clients.get(origin);
    if (known !== undefined) return known;
    const address = parseHttpAddress(origin);
    const client = new HttpClient({ undici, address, label, settings, headers: [] });
    clients.set(origin, client);
    return client;
  }

  return {
    async send(exchange) {
      const { method, target, headers, body, concern, signal } = exchange;
      const receiver = new S3Receiver(exchange);
      const request = {
        method,
        target,
        headers: Object.entries(headers).flat(),
        // Signatures are for one host, and for nobody else to see.
        keepsRedirects: true,
        ...(body === undefined ? {} : { body }),
      };
      await clientFor(exchange.origin).send(request, receiver, concern, signal);
      return receiver.answer();
    },
    async close() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

/** Takes answers of any status; of refusals only what fits. */
class S3Receiver implements Receiver {
  readonly #exchange: S3Exchange;
  #status = 0;
  #headers: HttpHeaders = {};
  #body: BodyCollector | undefined;
  #isRefusal = false;

  constructor(exchange: S3Exchange) {
    this.#exchange = exchange;
  }

  begin(status: number, headers: HttpHeaders, _flow: Flow): void {
    const { method, into, maxSize, concern } = this.#exchange;
    const { subject } = concern;
    this.#status = status;
    this.#headers = headers;
    this.#isRefusal = status < 200 || status >= 300;
    if (method === 'HEAD' || status === 204) return;
    if (this.#isRefusal) {
      const maxSize = LONGEST_REFUSAL;
      this.#body = new BodyCollector({ into: undefined, expected: undefined, maxSize, subject });
      return;
    }
    refuseEncoded(headers, concern);
    const expected = announcedLength(headers, concern);
    this.#body = new BodyCollector({ into, expected, maxSize, subject });
  }

  take(bytes: Uint8Array): boolean {
    const body = this.#body;
    if (body === undefined) return true;
    if (!this.#isRefusal) {
      body.add(bytes);
      return true;
    }
    const room = LONGEST_REFUSAL - body.length;
    body.add(bytes.length > room ? bytes.subarray(0, room) : bytes);
    return body.length < LONGEST_REFUSAL;
  }

  /** A body that is too short for its announced length never gets here. */
  finish(): void {}

  answer(): Omit<S3Answer, 'code'> {
    return {
      status: this.#status,
      headers: this.#headers,
      body: this.#body?.bytes() ?? NOTHING,
    };
  }
}
