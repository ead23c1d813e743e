/**
 * Requests to one bucket: signed, sent to where the bucket is, and refused with errors of ours. Used by
 * the backend, files and uploads of S3 (spec/remote.md, "S3").
 */
import { createHash } from 'node:crypto';
import type { SignalOption } from '../backend.ts';
import { type HttpHeaders, header } from './http-headers.ts';
import { encodeS3Key, encodeS3Word, type S3Service } from './s3-address.ts';
import { parseRefusal } from './s3-answers.ts';
import type { S3CredentialSource } from './s3-credentials.node.ts';
import {
  isSkewed,
  isWorthless,
  refusalError,
  type S3Concern,
  type S3RefusedAnswer,
} from './s3-failure.ts';
import type { S3Signer } from './s3-signer.node.ts';

export interface S3Request extends SignalOption {
  /** What it is for, in messages. */
  readonly step: string;
  readonly method: 'DELETE' | 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** Whole key; the bucket itself if left out. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** In lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Refusals that are returned as answers. */
  readonly accepts?: (refused: S3RefusedAnswer) => boolean;
  /** Of the body of a good answer, in bytes; above it the request fails with LimitExceeded. */
  readonly maxSize?: number;
  /** Memory for the body, used if it fits. */
  readonly into?: Uint8Array;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Of good answers. */
  readonly body: Uint8Array;
  /** What the service said if it refused. */
  readonly code: string;
}

/** One request as it is sent. */
export interface S3Exchange extends SignalOption {
  readonly origin: string;
  readonly method: S3Request['method'];
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly maxSize: number;
  readonly into: Uint8Array | undefined;
  readonly concern: S3Concern;
}

/** Sends requests. Answers of any status are returned, with the body as far as it matters. */
export interface S3Transport {
  send(exchange: S3Exchange): Promise<Omit<S3Answer, 'code'>>;
  close(): Promise<void>;
}

export interface S3ClientOptions {
  /** Of the place, for messages. */
  readonly label: string;
  readonly bucket: string;
  readonly service: S3Service;
  readonly region: string;
  readonly credentials: S3CredentialSource;
  readonly sign: S3Signer;
  readonly transport: S3Transport;
}

const EMPTY_DIGEST = createHash('sha256').digest('hex');
/** Of the bodies of answers to requests about many objects: keys have up to 1024 characters. */
const MAX_BODY = 16 * 1024 * 1024;
/** How often a request is repeated because of what an answer has taught us. */
const MAX_LESSONS = 3;
const MINUTE_MS = 60_000;

export class S3Client {
  readonly label: string;
  readonly #options: S3ClientOptions;
  #region: string;
  /** What the clock of the service is ahead of ours. */
  #skewMs = 0;

  constructor(options: S3ClientOptions) {
    this.label = options.label;
    this.#options = options;
    this.#region = options.region;
  }

  /** @throws ObjectMissing | StorageError | LimitExceeded, or CasError `STORE_MISSING` */
  async send(request: S3Request): Promise<S3Answer> {
    const { step, key = '', accepts, signal } = request;
    const { label, bucket } = this.#options;
    const subject = key === '' ? label : `s3://${bucket}/${key}`;
    const concern = { subject, step, bucket };
    for (let lessons = 0; ; lessons++) {
      signal?.throwIfAborted();
      const answer = await this.#exchange(request, concern);
      const { status, headers } = answer;
      if (status >= 200 && status < 300) return { ...answer, code: '' };
      const refused = { status, headers, ...parseRefusal(answer.body) };
      if (lessons < MAX_LESSONS && this.#learns(refused)) continue;
      if (accepts?.(refused)) return { ...answer, code: refused.code };
      throw refusalError(refused, concern, Date.now());
    }
  }

  close(): Promise<void> {
    return this.#options.transport.close();
  }

  async #exchange(request: S3Request, concern: S3Concern): Promise<Omit<S3Answer, 'code'>> {
    const { service, sign, transport } = this.#options;
    const { method, key, query = {}, headers = {}, body, maxSize = MAX_BODY, into } = request;
    const origin = service.origin(this.#region);
    const keyPath = key === undefined ? '' : `/${encodeS3Key(key)}`;
    const path = `${service.path}${keyPath}` || '/';
    const signed = await sign({
      method,
      host: origin.slice(origin.indexOf('//') + 2),
      path,
      query,
      headers,
      bodyDigest: body === undefined ? EMPTY_DIGEST : digestOf(body),
      region: this.#region,
      time: new Date(Date.now() + this.#skewMs),
    });
    return transport.send({
      origin,
      method,
      target: path + queryText(query),
      headers: signed,
      body,
      maxSize,
      into,
      concern,
      ...(request.signal ? { signal: request.signal } : {}),
    });
  }

  /** Whether the next attempt will be another one: at another place or time, or as somebody else. */
  #learns(refused: S3RefusedAnswer): boolean {
    const region = header(refused.headers, 'x-amz-bucket-region') ?? refused.region;
    const isElsewhere = [301, 307, 400, 403].includes(refused.status);
    if (isElsewhere && /^[a-z0-9-]{1,64}$/.test(region) && region !== this.#region) {
      this.#region = region;
      return true;
    }
    if (isWorthless(refused)) {
      this.#options.credentials.discard();
      return true;
    }
    return isSkewed(refused) && this.#setClock(refused.headers);
  }

  /** Machines without a good clock shall not be left out. */
  #setClock(headers: HttpHeaders): boolean {
    const there = Date.parse(header(headers, 'date') ?? '');
    const skewMs = there - Date.now();
    if (Number.isNaN(there) || Math.abs(skewMs - this.#skewMs) < MINUTE_MS) return false;
    this.#skewMs = skewMs;
    return true;
  }
}

function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

function queryText(query: Readonly<Record<string, string>>): string {
  const fields = Object.entries(query).map(
    ([name, value]) => `${encodeS3Word(name)}=${encodeS3Word(value)}`,
  );
  return fields.length === 0 ? '' : `?${fields.join('&')}`;
}
