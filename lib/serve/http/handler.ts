/**
 * From a request to its answer (spec/remote.md, "The server"): what is read, by whom it may be kept,
 * and in which parts. Knows nothing of sockets; uploads are in upload.ts.
 */
import type { Awaitable } from '../../../store/transforms.ts';
import { type Answer, failureAnswer, textAnswer } from './answer.ts';
import { isNotModified, isOtherVersion, type Validators, wantedRange } from './conditions.ts';
import { type ChunkRoute, findRoute, type IndexRoute, type RouteRules } from './route.ts';
import { PIECE_BYTES, type ServedFile, type ServedPlace } from './served-place.ts';
import type { ServedRequest } from './served-request.ts';
import type { Uploads } from './upload.ts';

export interface HandlerOptions {
  readonly place: ServedPlace;
  readonly rules: RouteRules;
  /** Undefined if nothing may be written. */
  readonly uploads?: Uploads;
  readonly metrics: () => string;
  /** Told of failures of the place, which the requester learns nothing of. */
  readonly onFailure?: (error: unknown) => void;
}

export type Handler = (request: ServedRequest) => Awaitable<Answer>;

const NOTHING = new Uint8Array(0);
const IMMUTABLE = 'public, max-age=31536000, immutable';
/** Updates shall be seen soon. */
const SHORT = 'public, max-age=10, must-revalidate';

/** Answers each request; rejects only for mistakes of ours. */
export function createHandler(options: HandlerOptions): Handler {
  const { rules, uploads } = options;
  const readable = 'GET, HEAD';
  return (request) => {
    const { method, target } = request;
    const route = findRoute(target, rules);
    const kind = route?.kind ?? 'none';
    if (method === 'PUT' && uploads !== undefined) return uploads.put(route, request);
    if (method !== 'GET' && method !== 'HEAD') {
      const headers = ['Allow', uploads === undefined ? readable : `${readable}, PUT`];
      return textAnswer(405, { kind, text: 'Not allowed.\n', headers });
    }
    const isHead = method === 'HEAD';
    if (route === undefined) return notFound(kind, isHead);
    switch (route.kind) {
      case 'health':
        return textAnswer(200, { kind, text: 'ok\n', isHead });
      case 'metrics':
        return textAnswer(200, { kind, text: options.metrics(), isHead });
      default:
        return answerFile(route, request, options);
    }
  };
}

function notFound(kind: Answer['kind'], isHead: boolean): Answer {
  return textAnswer(404, { kind, text: 'Not found.\n', isHead });
}

function answerFile(
  route: ChunkRoute | IndexRoute,
  request: ServedRequest,
  options: HandlerOptions,
): Awaitable<Answer> {
  const isHead = request.method === 'HEAD';
  const fail = (error: unknown): Answer => failureAnswer(error, route.kind, options.onFailure);
  try {
    const before = options.uploads?.noteReader(route, request);
    if (before !== undefined) return openLater(route, request, options, before);
    const opened = options.place.open(route, { isHead, signal: request.signal });
    if (!(opened instanceof Promise)) return answerOpened(route, request, opened);
    return opened.then((file) => answerOpened(route, request, file)).catch(fail);
  } catch (error) {
    return fail(error);
  }
}

async function openLater(
  route: ChunkRoute | IndexRoute,
  request: ServedRequest,
  options: HandlerOptions,
  before: Promise<void>,
): Promise<Answer> {
  try {
    await before;
    const isHead = request.method === 'HEAD';
    const file = await options.place.open(route, { isHead, signal: request.signal });
    return await answerOpened(route, request, file);
  } catch (error) {
    return failureAnswer(error, route.kind, options.onFailure);
  }
}

function answerOpened(
  route: ChunkRoute | IndexRoute,
  { method, header }: ServedRequest,
  file: ServedFile | undefined,
): Awaitable<Answer> {
  const { kind } = route;
  const isHead = method === 'HEAD';
  if (file === undefined) return notFound(kind, isHead);
  const validators = validatorsOf(route, file);
  const headers = describe(route, validators);
  const end = (status: number, ...more: readonly string[]): Answer => {
    file.close();
    return { status, kind, headers: [...headers, ...more] };
  };
  if (isOtherVersion(header, validators.etag)) return end(412, 'Content-Length', '0');
  if (isNotModified(header, validators)) return end(304);
  if (isHead) return end(200, 'Content-Length', String(file.size));
  const range = wantedRange(header, file.size, validators);
  if (range === 'unsatisfiable') {
    return end(416, 'Content-Range', `bytes */${file.size}`, 'Content-Length', '0');
  }
  const part = { file, ...(range ?? { offset: 0, length: file.size }) };
  headers.push('Content-Length', String(part.length));
  if (range !== undefined) {
    const { offset, length } = range;
    headers.push('Content-Range', `bytes ${offset}-${offset + length - 1}/${file.size}`);
  }
  const answer = { status: range === undefined ? 200 : 206, kind, headers };
  if (part.length > PIECE_BYTES) return { ...answer, body: part };
  return readAtOnce(answer, part);
}

function readAtOnce(
  answer: Answer,
  { file, offset, length }: { file: ServedFile; offset: number; length: number },
): Awaitable<Answer> {
  let read: Awaitable<Uint8Array>;
  try {
    read = length === 0 ? NOTHING : file.read({ offset, length });
  } catch (error) {
    file.close();
    throw error;
  }
  if (!(read instanceof Promise)) {
    const bytes = read;
    file.close();
    return { ...answer, body: bytes, recycle: () => file.recycle?.(bytes) };
  }
  return read.then((body) => ({ ...answer, body })).finally(() => file.close());
}

/** The id of a chunk is all there is to say about its version: it never has another content. */
function validatorsOf(route: ChunkRoute | IndexRoute, file: ServedFile): Validators {
  if (route.kind === 'chunk') return { etag: `"${route.id}"` };
  return { etag: `"${file.version}"`, modified: file.modified };
}

function describe({ kind }: ChunkRoute | IndexRoute, { etag, modified }: Validators): string[] {
  const headers = [
    ...['Content-Type', 'application/octet-stream', 'X-Content-Type-Options', 'nosniff'],
    ...['Accept-Ranges', 'bytes', 'ETag', etag],
    ...['Cache-Control', kind === 'chunk' ? IMMUTABLE : SHORT],
  ];
  if (modified !== undefined) headers.push('Last-Modified', modified.toUTCString());
  return headers;
}
