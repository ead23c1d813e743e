/** A folder of a bucket as ObjectBackend (spec/remote.md, "S3"). */
import { createHash } from 'node:crypto';
import { isCasError } from '../../formats/errors.ts';
import type {
  GetObjectOptions,
  ListedObject,
  ObjectBackend,
  ObjectInfo,
  ObjectKey,
  PutObjectOptions,
  SignalOption,
} from '../backend.ts';
import { StorageError } from '../errors.ts';
import { assertObjectKey, isObjectKey } from '../object-key.ts';
import { Retrier, type RetryOptions } from '../wrap/retry.ts';
import { deleteBody, parseDeleted, parseListing, type S3Page } from './s3-answers.ts';
import type { S3Client } from './s3-client.node.ts';
import { batchError, isUnsupported, type S3RefusedAnswer } from './s3-failure.ts';
import { readS3Part, statS3Object } from './s3-part.node.ts';

/** Keys of one batch delete, as the interface has it. */
const MAX_BATCH = 1000;

/** A condition was not met; or somebody is just writing or removing the object; or what is a condition? */
function isConditional(refused: S3RefusedAnswer): boolean {
  return refused.status === 412 || refused.status === 409 || isUnsupported(refused);
}

export interface S3ObjectsOptions {
  /** Whole key of the folder, without a slash at its end; empty for the whole bucket. */
  readonly folder: string;
  /** For pages of listings: a listing of a million objects is not begun anew. */
  readonly retry: RetryOptions;
}

/** @param client belongs to the result from now on */
export function openS3Objects(client: S3Client, options: S3ObjectsOptions): ObjectBackend {
  return new S3Objects(client, options);
}

class S3Objects implements ObjectBackend {
  readonly can = { write: true, list: true, remove: true, listInOrder: true };
  readonly label: string;
  readonly #client: S3Client;
  readonly #base: string;
  readonly #retrier: Retrier;
  /** Until the service says otherwise. */
  #hasConditions = true;
  #hasBatches = true;

  constructor(client: S3Client, { folder, retry }: S3ObjectsOptions) {
    this.label = client.label;
    this.#client = client;
    this.#base = folder === '' ? '' : `${folder}/`;
    this.#retrier = new Retrier(client.label, retry);
  }

  async get(key: ObjectKey, options: GetObjectOptions = {}): Promise<Uint8Array> {
    const { bytes } = await readS3Part(this.#client, this.#wholeKey(key), options);
    return bytes;
  }

  async has(keys: readonly ObjectKey[], options: SignalOption = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    // In turn: each request is paid for, and mostly the first one is there.
    for (const key of keys) if ((await this.stat(key, options)) !== undefined) return true;
    return false;
  }

  async stat(key: ObjectKey, options: SignalOption = {}): Promise<ObjectInfo | undefined> {
    return statS3Object(this.#client, this.#wholeKey(key), options);
  }

  async put(
    key: ObjectKey,
    bytes: Uint8Array,
    { ifAbsent = false, signal }: PutObjectOptions = {},
  ): Promise<'stored' | 'present'> {
    const option = signal === undefined ? {} : { signal };
    if (ifAbsent) {
      const outcome = await this.#putIfAbsent(key, bytes, option);
      if (outcome !== undefined) return outcome;
    }
    await this.#put(key, bytes, option);
    return 'stored';
  }

  /** @returns undefined if the object is not there, and the service does not know conditions */
  async #putIfAbsent(
    key: ObjectKey,
    bytes: Uint8Array,
    option: SignalOption,
  ): Promise<'stored' | 'present' | undefined> {
    if (this.#hasConditions) {
      const status = await this.#put(key, bytes, option, { 'if-none-match': '*' });
      if (status < 300) return 'stored';
      if (status === 412) return 'present';
      if (status !== 409) this.#hasConditions = false;
      // Nothing is taken to be there that has not been seen.
      else if ((await this.stat(key, option)) === undefined) throw this.#conflict(key);
      else return 'present';
    }
    return (await this.stat(key, option)) === undefined ? undefined : 'present';
  }

  async #put(
    key: ObjectKey,
    body: Uint8Array,
    option: SignalOption,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const { status } = await this.#client.send({
      step: 'put',
      method: 'PUT',
      key: this.#wholeKey(key),
      body,
      headers,
      accepts: (refused) => 'if-none-match' in headers && isConditional(refused),
      ...option,
    });
    return status;
  }

  #conflict(key: ObjectKey): StorageError {
    const reason = 'Somebody else is changing the object';
    const subject = `${this.label}/${key}`;
    return new StorageError('UNAVAILABLE', { subject, step: 'put', reason, retry: 'later' });
  }

  /** What was put is durable and visible. */
  async flush({ signal }: SignalOption = {}): Promise<void> {
    signal?.throwIfAborted();
  }

  async remove(key: ObjectKey, options: SignalOption = {}): Promise<void> {
    await this.#client.send({
      step: 'remove',
      method: 'DELETE',
      key: this.#wholeKey(key),
      accepts: ({ status, code }) => status === 404 && code !== 'NoSuchBucket',
      ...options,
    });
  }

  async removeMany(keys: readonly ObjectKey[], options: SignalOption = {}): Promise<void> {
    for (let i = 0; i < keys.length; i += MAX_BATCH) {
      const batch = keys.slice(i, i + MAX_BATCH);
      if (this.#hasBatches) await this.#removeBatch(batch, options);
      if (!this.#hasBatches) for (const key of batch) await this.remove(key, options);
    }
  }

  /** Falls back to single requests where the service knows no batches. */
  async #removeBatch(keys: readonly ObjectKey[], options: SignalOption): Promise<void> {
    const body = deleteBody(keys.map((key) => this.#wholeKey(key)));
    const step = 'remove';
    const { status, body: answer } = await this.#client.send({
      step,
      method: 'POST',
      query: { delete: '' },
      // Demanded by the interface, although the signature covers the body.
      headers: { 'content-md5': createHash('md5').update(body).digest('base64') },
      body,
      accepts: isUnsupported,
      ...options,
    });
    if (status >= 300) {
      this.#hasBatches = false;
      return;
    }
    const failures = this.#parsed(() => parseDeleted(answer), step);
    const failed = failures.filter(({ code }) => code !== 'NoSuchKey');
    // What passes is told last: it may be tried again, and then only the others are left.
    const errors = failed.map(({ key, code }) => {
      const reason = `${code || 'refused'} (${failed.length} of ${keys.length} objects)`;
      return batchError(code, reason, { subject: this.#subject(key), step });
    });
    const [first] = errors;
    if (first !== undefined) throw errors.find(({ retry }) => retry === 'never') ?? first;
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    const ended = new AbortController();
    const signals = signal === undefined ? [ended.signal] : [ended.signal, signal];
    const option = { signal: AbortSignal.any(signals) };
    let page: Promise<S3Page> | undefined = this.#page(prefix, undefined, option);
    try {
      while (page !== undefined) {
        const { objects, next }: S3Page = await page;
        // Asked for while this one is used.
        page = next === undefined ? undefined : this.#page(prefix, next, option);
        void page?.catch(() => {});
        for (const { key: whole, size, modified } of objects) {
          const key = whole.slice(this.#base.length);
          if (whole.startsWith(this.#base) && isObjectKey(key)) yield { key, size, modified };
        }
      }
    } finally {
      ended.abort();
    }
  }

  #page(prefix: string, token: string | undefined, option: SignalOption): Promise<S3Page> {
    const step = 'list';
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix: this.#base + prefix,
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    return this.#retrier.run(async () => {
      const { body } = await this.#client.send({ step, method: 'GET', query, ...option });
      return this.#parsed(() => parseListing(body), step);
    }, option.signal);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #wholeKey(key: ObjectKey): string {
    assertObjectKey(key);
    return this.#base + key;
  }

  #subject(wholeKey: string): string {
    return `${this.label}/${wholeKey.slice(this.#base.length)}`;
  }

  /** What the service wrote and we cannot read is a failure of the storage. */
  #parsed<T>(parse: () => T, step: string): T {
    try {
      return parse();
    } catch (cause) {
      if (!isCasError(cause)) throw cause;
      throw new StorageError('IO', { subject: this.label, step, reason: cause.message, cause });
    }
  }
}
