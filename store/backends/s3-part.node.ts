/** Reads an object of S3, or a part of it, or what is known of it. Used by the backend and the files. */
import type { GetObjectOptions, ObjectInfo, ObjectRange, SignalOption } from '../backend.ts';
import { StorageError } from '../errors.ts';
import {
  contentLength,
  contentRange,
  type HttpHeaders,
  header,
  lastModified,
} from './http-headers.ts';
import type { S3Answer, S3Client } from './s3-client.node.ts';
import type { S3RefusedAnswer } from './s3-failure.ts';

export interface S3PartOptions extends GetObjectOptions {
  /** What the object was when its first part was read; another one is refused. */
  readonly tag?: string | undefined;
}

export interface S3Part {
  readonly bytes: Uint8Array;
  /** Bytes of the whole object. */
  readonly totalSize: number;
  /** Another one whenever the content is another. */
  readonly tag: string | undefined;
}

const STEP = 'get';
const NOTHING = new Uint8Array();

/** @param key whole one @throws ObjectMissing | LimitExceeded | StorageError */
export async function readS3Part(
  client: Pick<S3Client, 'send'>,
  key: string,
  { range, maxSize, into, signal, tag }: S3PartOptions,
): Promise<S3Part> {
  const headers = {
    ...(range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {}),
    ...(tag === undefined ? {} : { 'if-match': tag }),
  };
  const answer = await client.send({
    step: STEP,
    method: 'GET',
    key,
    headers,
    accepts: ({ status }) =>
      (range !== undefined && status === 416) || (tag !== undefined && status === 412),
    maxSize: maxSize ?? Number.POSITIVE_INFINITY,
    ...(into ? { into } : {}),
    ...(signal ? { signal } : {}),
  });
  if (answer.status === 412) throw failure(key, 'changed while it was read');
  return partOf(answer, key, range, into);
}

function partOf(
  { status, headers, body }: S3Answer,
  key: string,
  range: ObjectRange | undefined,
  into: Uint8Array | undefined,
): S3Part {
  const tag = header(headers, 'etag');
  if (range === undefined) return { bytes: body, totalSize: body.length, tag };
  const { offset, length } = range;
  const found = contentRange(headers);
  if (status === 416) {
    return { bytes: into?.subarray(0, 0) ?? NOTHING, totalSize: found?.total ?? 0, tag };
  }
  if (status === 200) {
    // Whoever does not know ranges gives it all.
    const bytes = body.slice(offset, offset + length);
    return { bytes, totalSize: body.length, tag };
  }
  const totalSize = found?.total;
  const isRight =
    totalSize !== undefined &&
    found?.first === offset &&
    body.length === Math.min(length, totalSize - offset);
  if (isRight) return { bytes: body, totalSize, tag };
  throw failure(key, 'another part than the one that was asked for');
}

function failure(key: string, reason: string): StorageError {
  return new StorageError('IO', { subject: key, step: STEP, reason });
}

export interface S3ObjectInfo extends ObjectInfo {
  /** Another one whenever the content is another. */
  readonly tag: string | undefined;
}

function isMissing({ status, code }: S3RefusedAnswer): boolean {
  return status === 404 && code !== 'NoSuchBucket';
}

/**
 * @param key whole one
 * @returns undefined if there is no such object
 * @throws StorageError
 */
export async function statS3Object(
  client: Pick<S3Client, 'send'>,
  key: string,
  options: SignalOption,
): Promise<S3ObjectInfo | undefined> {
  // No HEAD: its refusals do not say why, and undici mostly ends connections after it.
  const request = { step: 'look up', key, ...options };
  const { status, headers } = await client.send({
    ...request,
    method: 'GET',
    headers: { range: 'bytes=0-0' },
    accepts: (refused) => refused.status === 416 || isMissing(refused),
    maxSize: Number.POSITIVE_INFINITY,
  });
  if (status === 404) return undefined;
  const size = contentRange(headers)?.total;
  if (status === 206 && size !== undefined) return infoOf(headers, size);
  // Of nothing there is no part.
  const head = await client.send({ ...request, method: 'HEAD', accepts: isMissing });
  return head.status === 404 ? undefined : infoOf(head.headers, contentLength(head.headers) ?? 0);
}

function infoOf(headers: HttpHeaders, size: number): S3ObjectInfo {
  return { size, modified: lastModified(headers), tag: header(headers, 'etag') };
}
