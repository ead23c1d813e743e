/**
 * Writes an object of S3 of any length: a short one at once, a long one in parts, which become an object
 * when all are there (spec/remote.md, "S3"). Used by s3-file.node.ts.
 */
import { createHash } from 'node:crypto';
import { isCasError } from '../../formats/errors.ts';
import { StorageError } from '../errors.ts';
import type { FileWriter } from '../remote-file.ts';
import type { Retrier } from '../wrap/retry.ts';
import { header } from './http-headers.ts';
import { completionBody, parseField, parseRefusal } from './s3-answers.ts';
import type { S3Client, S3Request } from './s3-client.node.ts';
import { batchError } from './s3-failure.ts';
import { statS3Object } from './s3-part.node.ts';

const MIB = 1024 * 1024;
const FIRST_ROOM = 256 * 1024;
const PART_SIZE = 8 * MIB;
/** From then on parts are longer: there may be 10 000 of them. */
const FEW_PARTS = 1000;
const LATE_PART_SIZE = 64 * MIB;
const MAX_PARTS = 10_000;
/** Parts under way beside the one that is filled. */
const MAX_UNDER_WAY = 2;
const STEP = 'put';

export interface S3UploadOptions {
  /** Whole key. */
  readonly key: string;
  /** Of the object, for messages. */
  readonly label: string;
  readonly retrier: Retrier;
  readonly signal?: AbortSignal;
}

/** The object appears, or replaces an older one, with `commit`. */
export function openS3Upload(client: S3Client, options: S3UploadOptions): FileWriter {
  return new S3Upload(client, options);
}

class S3Upload implements FileWriter {
  readonly #client: S3Client;
  readonly #options: S3UploadOptions;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  readonly #tags: string[] = [];
  #buffer = new Uint8Array(0);
  #length = 0;
  #partCount = 0;
  #uploadId: Promise<string> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isOver = false;

  constructor(client: S3Client, options: S3UploadOptions) {
    this.#client = client;
    this.#options = options;
    const { signal } = options;
    const { signal: own } = this.#ended;
    this.#signal = signal === undefined ? own : AbortSignal.any([own, signal]);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const partSize = this.#partCount < FEW_PARTS ? PART_SIZE : LATE_PART_SIZE;
      const length = Math.min(partSize - this.#length, bytes.length - offset);
      this.#append(bytes.subarray(offset, offset + length), partSize);
      offset += length;
      if (this.#length === partSize) await this.#sendPart();
    }
  }

  async commit(): Promise<void> {
    if (this.#partCount === 0) {
      await this.#send({ method: 'PUT', body: this.#buffer.subarray(0, this.#length) });
    } else {
      if (this.#length > 0) await this.#sendPart();
      await Promise.all(this.#underWay);
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#complete(await this.#begun());
    }
    this.#isOver = true;
  }

  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended.abort();
    await Promise.allSettled(this.#underWay);
    try {
      const uploadId = await this.#uploadId?.catch(() => undefined);
      if (uploadId === undefined) return;
      const request = { step: STEP, key: this.#options.key, query: { uploadId } } as const;
      await this.#client.send({ ...request, method: 'DELETE' });
    } catch (error) {
      // What stays is no object; services are told to remove such parts after some days.
      if (!isCasError(error)) throw error;
    }
  }

  #append(bytes: Uint8Array, partSize: number): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      const room = Math.min(partSize, Math.max(2 * this.#buffer.length, needed, FIRST_ROOM));
      const larger = new Uint8Array(room);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
  }

  /** Sends off what was gathered; waits while too much is under way. */
  async #sendPart(): Promise<void> {
    const body = this.#buffer.subarray(0, this.#length);
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    const part = this.#partCount++;
    if (part >= MAX_PARTS) throw this.#failureOf('too long for one object');
    const sent = this.#uploadPart(part, body).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#underWay.add(sent);
    void sent.then(() => this.#underWay.delete(sent));
    while (this.#underWay.size >= MAX_UNDER_WAY) await Promise.race(this.#underWay);
  }

  async #uploadPart(part: number, body: Uint8Array): Promise<void> {
    const query = { partNumber: `${part + 1}`, uploadId: await this.#begun() };
    const { headers } = await this.#send({ method: 'PUT', query, body });
    const tag = header(headers, 'etag');
    if (tag === undefined) throw this.#failureOf('no tag for a part');
    this.#tags[part] = tag;
  }

  #begun(): Promise<string> {
    this.#uploadId ??= this.#send({ method: 'POST', query: { uploads: '' } }).then(({ body }) =>
      this.#parsed(() => parseField(body, 'UploadId')),
    );
    return this.#uploadId;
  }

  async #complete(uploadId: string): Promise<void> {
    const { retrier } = this.#options;
    const body = completionBody(this.#tags);
    let attempts = 0;
    await retrier.run(async () => {
      attempts += 1;
      const { code, body: answer } = await this.#client.send({
        ...this.#request({ method: 'POST', query: { uploadId }, body }),
        accepts: (refused) => attempts > 1 && refused.code === 'NoSuchUpload',
      });
      // An answer that was lost: the object may be there.
      if (code !== '' && (await this.#isThere())) return;
      // Such an answer begins before it is known how it ends.
      const late = code || parseRefusal(answer).code;
      if (late !== '') throw batchError(late, late, { subject: this.#options.label, step: STEP });
      // Not every service tells the tag here.
      this.#parsed(() => parseField(answer, 'Key'));
    }, this.#signal);
  }

  /** Whether the object is what the parts make. */
  async #isThere(): Promise<boolean> {
    const { key } = this.#options;
    const found = await statS3Object(this.#client, key, { signal: this.#signal });
    const digest = createHash('md5');
    for (const tag of this.#tags) digest.update(Buffer.from(tag.replaceAll('"', ''), 'hex'));
    const whole = `${digest.digest('hex')}-${this.#tags.length}`;
    return found?.tag?.replaceAll('"', '') === whole;
  }

  #request(request: Pick<S3Request, 'method' | 'query' | 'body'>): S3Request {
    return { step: STEP, key: this.#options.key, signal: this.#signal, ...request };
  }

  #send(request: Pick<S3Request, 'method' | 'query' | 'body'>): ReturnType<S3Client['send']> {
    const { retrier } = this.#options;
    return retrier.run(() => this.#client.send(this.#request(request)), this.#signal);
  }

  #parsed<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      throw isCasError(error) ? this.#failureOf(error.message) : error;
    }
  }

  #failureOf(reason: string): StorageError {
    return new StorageError('IO', { subject: this.#options.label, step: STEP, reason });
  }
}
