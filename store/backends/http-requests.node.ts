/**
 * The requests that stores, indexes and archives have in common, by path (spec/remote.md, "HTTP").
 * Servers differ: some know no HEAD, some no conditions, some no folders.
 */
import type { Readable } from 'node:stream';
import type { ObjectRange } from '../backend.ts';
import { ObjectMissing, StorageError } from '../errors.ts';
import type { HttpClient } from './http-client.node.ts';
import { type Concern, isMissing, statusError } from './http-failure.node.ts';
import {
  contentLength,
  contentRange,
  type HttpHeaders,
  header,
  lastModified,
  versionOf,
} from './http-headers.ts';
import { HeadReceiver, ObjectReceiver } from './http-receivers.node.ts';

const OK = 200;
const PARTIAL_CONTENT = 206;
const FORBIDDEN = 403;
const METHOD_NOT_ALLOWED = 405;
const PRECONDITION_FAILED = 412;
const RANGE_NOT_SATISFIABLE = 416;
const NOT_IMPLEMENTED = 501;

/** Answers to HEAD that say nothing about GET: signed URLs are good for one method. */
const SILENT_ABOUT_GET: ReadonlySet<number> = new Set([
  FORBIDDEN,
  METHOD_NOT_ALLOWED,
  NOT_IMPLEMENTED,
]);
/** What servers say to PUT where a folder on the way is missing; nginx has the last one. */
const FOLDER_MAY_BE_MISSING: ReadonlySet<number> = new Set([404, 409, 500]);

export interface Found {
  /** Bytes, undefined if the server does not say. */
  readonly size: number | undefined;
  readonly modified: Date;
  readonly version: string | undefined;
  /** Whether the server gives parts, undefined if it does not say. */
  readonly hasRanges: boolean | undefined;
}

export interface GetWish {
  readonly range?: ObjectRange | undefined;
  readonly into?: Uint8Array | undefined;
  readonly maxSize?: number | undefined;
}

export interface PutWish {
  readonly body: Uint8Array | (() => Readable);
  /** Length of a stream, in bytes. */
  readonly length?: number;
  readonly ifAbsent?: boolean;
  /** Folders to be made if they are missing, outermost first, with a slash at the end. */
  readonly folders: readonly string[];
}

export class HttpRequests {
  readonly #client: HttpClient;
  #knowsHead = true;
  readonly #foldersUnderWay = new Map<string, Promise<void>>();

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /** @throws ObjectMissing | LimitExceeded | StorageError */
  async get(
    target: string,
    wish: GetWish,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { range, into, maxSize = Number.POSITIVE_INFINITY } = wish;
    const receiver = new ObjectReceiver({ range, into, maxSize }, concern);
    const headers = range === undefined ? undefined : ['range', rangeText(range)];
    const request = { method: 'GET', target, ...(headers && { headers }) } as const;
    await this.#client.send(request, receiver, concern, signal);
    return receiver.result();
  }

  /** What is there, undefined if the server says that nothing is. @throws StorageError */
  async find(target: string, concern: Concern, signal?: AbortSignal): Promise<Found | undefined> {
    if (!this.#knowsHead) return this.findByPart(target, concern, signal);
    const { status, headers } = await this.#ask('HEAD', target, concern, signal);
    if (!SILENT_ABOUT_GET.has(status)) return found(status, headers, concern);
    const result = await this.findByPart(target, concern, signal);
    this.#knowsHead = false;
    return result;
  }

  /** The same, by asking for the first byte: also tells for sure whether there are parts. */
  async findByPart(
    target: string,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<Found | undefined> {
    const receiver = new HeadReceiver();
    const request = { method: 'GET', target, headers: ['range', 'bytes=0-0'] } as const;
    await this.#client.send(request, receiver, concern, signal);
    const { status, headers } = receiver;
    if (status !== PARTIAL_CONTENT && status !== RANGE_NOT_SATISFIABLE) {
      const whole = found(status, headers, concern);
      return whole && { ...whole, hasRanges: false };
    }
    const size = contentRange(headers)?.total;
    return { ...described(headers), size, hasRanges: status === PARTIAL_CONTENT };
  }

  /** @throws StorageError */
  async put(
    target: string,
    wish: PutWish,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<'stored' | 'present'> {
    let answer = await this.#putOnce(target, wish, concern, signal);
    if (FOLDER_MAY_BE_MISSING.has(answer.status) && wish.folders.length > 0) {
      await this.#makeFolders(wish.folders);
      answer = await this.#putOnce(target, wish, concern, signal);
    }
    const { status, headers } = answer;
    if (status === PRECONDITION_FAILED && wish.ifAbsent === true) return 'present';
    if (isSuccess(status)) return 'stored';
    throw writeError(status, headers, concern);
  }

  /** @throws StorageError */
  async remove(target: string, concern: Concern, signal?: AbortSignal): Promise<void> {
    const { status, headers } = await this.#ask('DELETE', target, concern, signal);
    if (!isSuccess(status) && !isMissing(status)) throw writeError(status, headers, concern);
  }

  async #ask(
    method: 'HEAD' | 'DELETE' | 'MKCOL',
    target: string,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<HeadReceiver> {
    const receiver = new HeadReceiver();
    await this.#client.send({ method, target }, receiver, concern, signal);
    return receiver;
  }

  async #putOnce(
    target: string,
    { body, length, ifAbsent = false }: PutWish,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<HeadReceiver> {
    const headers = ['content-type', 'application/octet-stream'];
    if (length !== undefined) headers.push('content-length', String(length));
    if (ifAbsent) headers.push('if-none-match', '*');
    const receiver = new HeadReceiver();
    await this.#client.send({ method: 'PUT', target, headers, body }, receiver, concern, signal);
    return receiver;
  }

  /** Whether they exist then, the next PUT will tell. Equal requests under way are made once. */
  async #makeFolders(folders: readonly string[]): Promise<void> {
    for (const folder of folders) {
      const made = this.#foldersUnderWay.get(folder) ?? this.#makeFolder(folder);
      this.#foldersUnderWay.set(folder, made);
      await made;
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    const concern = { subject: this.#client.label, step: 'make folder' };
    try {
      await this.#ask('MKCOL', folder, concern);
    } finally {
      this.#foldersUnderWay.delete(folder);
    }
  }
}

function rangeText({ offset, length }: ObjectRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function found(status: number, headers: HttpHeaders, concern: Concern): Found | undefined {
  if (isMissing(status)) return undefined;
  if (status === OK) return described(headers);
  throw statusError(status, headers, concern);
}

function described(headers: HttpHeaders): Found {
  const units = header(headers, 'accept-ranges')?.toLowerCase();
  return {
    size: contentLength(headers),
    modified: lastModified(headers),
    version: versionOf(headers),
    hasRanges: units === undefined ? undefined : units === 'bytes',
  };
}

/** Nothing is missing where something was to be written. */
function writeError(status: number, headers: HttpHeaders, concern: Concern): StorageError {
  const error = statusError(status, headers, concern);
  if (error instanceof StorageError && status !== METHOD_NOT_ALLOWED) return error;
  const code = error instanceof ObjectMissing ? 'IO' : 'DENIED';
  return new StorageError(code, { ...concern, reason: error.reason });
}
