/**
 * Uploads (spec/remote.md, "Uploads"): what comes from a stranger with a token becomes visible only
 * when it has been proven good. A chunk must be what its name says; an index is in upload-index.ts.
 */
import { chunkKey } from '../../../formats/chunk-path.ts';
import { isCasError } from '../../../formats/errors.ts';
import { type ChunkTranscoder, storedCeiling } from '../../../store/transcoder.ts';
import type { Awaitable } from '../../../store/transforms.ts';
import { type Answer, failureAnswer, textAnswer } from './answer.ts';
import type { HeaderReader } from './conditions.ts';
import type { ServeLimits } from './limits.ts';
import type { Makers } from './makers.ts';
import { MemoryBudget } from './memory-budget.ts';
import type { ChunkRoute, IndexRoute, Route } from './route.ts';
import type { ServedPlace } from './served-place.ts';
import type { ServedRequest } from './served-request.ts';
import { IndexUploads } from './upload-index.ts';

export interface UploadOptions {
  readonly place: ServedPlace;
  readonly makers: Makers;
  /** Accepts chunks up to `limits.maxChunkBytes`. */
  readonly transcoder: ChunkTranscoder;
  readonly limits: ServeLimits;
  /** Of compressed chunks; plain ones are not accepted. */
  readonly suffix: string;
  /** Whether the `Authorization` of a request is good. */
  readonly authorize: (authorization: string | undefined) => boolean;
  readonly onFailure?: (error: unknown) => void;
}

const CHALLENGE = ['WWW-Authenticate', 'Bearer realm="casync", Basic realm="casync"'];
const DECIMAL = /^\d{1,15}$/;
const RETRY_SECONDS = '2';

export class Uploads {
  readonly #options: UploadOptions;
  readonly #budget: MemoryBudget;
  readonly #indexes: IndexUploads;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#budget = new MemoryBudget(options.limits.uploadMemoryBytes);
    this.#indexes = new IndexUploads(options);
  }

  /**
   * To be called before a chunk is looked for. A maker that asks whether there is one will rely on the
   * answer: its store is leased first.
   */
  noteReader(
    route: ChunkRoute | IndexRoute,
    { method, header }: ServedRequest,
  ): Promise<void> | undefined {
    const authorization = header('authorization');
    if (method !== 'HEAD' || route.kind !== 'chunk' || authorization === undefined)
      return undefined;
    if (!this.#options.authorize(authorization)) return undefined;
    return this.#options.makers.use(route.store, async () => {}).catch(throwIfPassing);
  }

  async put(route: Route | undefined, request: ServedRequest): Promise<Answer> {
    const kind = route?.kind ?? 'none';
    if (!this.#options.authorize(request.header('authorization'))) {
      const text = 'Uploads need a token.\n';
      return textAnswer(401, { kind, text, headers: CHALLENGE, refusal: 'unauthorized' });
    }
    if (route === undefined || (route.kind !== 'chunk' && route.kind !== 'index')) {
      return textAnswer(403, { kind, text: 'Nothing can be stored here.\n', refusal: 'name' });
    }
    if (route.kind === 'chunk' && !route.isCompressed) {
      const text = 'Only compressed chunks are accepted.\n';
      return textAnswer(403, { kind, text, refusal: 'name' });
    }
    const { maxChunkBytes, maxIndexBytes } = this.#options.limits;
    const limit = route.kind === 'chunk' ? storedCeiling(maxChunkBytes) : maxIndexBytes;
    return checkEncoding(kind, request.header) ?? this.#receive(route, request, limit);
  }

  async #receive(
    route: ChunkRoute | IndexRoute,
    request: ServedRequest,
    limit: number,
  ): Promise<Answer> {
    const { kind } = route;
    const announced = request.header('content-length');
    const size = announced !== undefined && DECIMAL.test(announced) ? Number(announced) : limit;
    if (size > limit) return tooLarge(kind, limit);
    const release = this.#budget.take(size);
    if (release === undefined) {
      const headers = ['Retry-After', RETRY_SECONDS];
      return textAnswer(503, { kind, text: 'Too many uploads.\n', headers, refusal: 'busy' });
    }
    try {
      return await this.#store(route, request, limit);
    } catch (error) {
      return refusalOf(error, kind, limit) ?? this.#failed(error, kind);
    } finally {
      release();
    }
  }

  #store(route: ChunkRoute | IndexRoute, request: ServedRequest, limit: number): Awaitable<Answer> {
    if (route.kind === 'index') return this.#indexes.put(route, request, limit);
    return this.#putChunk(route, request, limit);
  }

  #failed(error: unknown, kind: Answer['kind']): Answer {
    return { ...failureAnswer(error, kind, this.#options.onFailure), refusal: 'storage' };
  }

  async #putChunk(
    { kind, store, id }: ChunkRoute,
    request: ServedRequest,
    limit: number,
  ): Promise<Answer> {
    const { makers, transcoder, suffix } = this.#options;
    const keys = [chunkKey(id, suffix), chunkKey(id, '')] as const;
    const isOnlyNew = request.header('if-none-match')?.trim() === '*';
    const isThere = await makers.use(store, async ({ backend }) => backend.has(keys));
    if (isThere && isOnlyNew) return exists(kind);
    const bytes = await request.readBody(limit);
    await transcoder.decode(id, { bytes, isPlain: false }, { subject: 'the chunk' });
    const outcome = await makers.use(store, async ({ backend, flush }) => {
      const result = isThere ? 'present' : await backend.put(keys[0], bytes, { ifAbsent: true });
      // What is there may have been accepted a moment ago, and not be durable yet.
      await flush();
      return result;
    });
    if (outcome === 'stored') return textAnswer(201, { kind, text: 'Stored.\n' });
    return isOnlyNew ? exists(kind) : textAnswer(204, { kind, text: '' });
  }
}

function checkEncoding(kind: Answer['kind'], header: HeaderReader): Answer | undefined {
  const encoding = header('content-encoding')?.trim().toLowerCase() ?? 'identity';
  const isWhole = header('content-range') === undefined;
  if (encoding === 'identity' && isWhole) return undefined;
  const text = isWhole ? 'No content encoding is accepted.\n' : 'No parts are accepted.\n';
  return textAnswer(isWhole ? 415 : 400, { kind, text, refusal: 'encoding' });
}

function exists(kind: Answer['kind']): Answer {
  return textAnswer(412, { kind, text: 'It is there already.\n', refusal: 'exists' });
}

function tooLarge(kind: Answer['kind'], limit: number): Answer {
  const text = `More than ${limit} bytes.\n`;
  return textAnswer(413, { kind, text, refusal: 'too-large' });
}

/** What is wrong with the upload itself, if it is that. */
function refusalOf(error: unknown, kind: Answer['kind'], limit: number): Answer | undefined {
  if (!isCasError(error)) return undefined;
  switch (error.code) {
    case 'LIMIT_EXCEEDED':
      return tooLarge(kind, limit);
    case 'ABORTED':
      return textAnswer(400, { kind, text: 'Incomplete.\n', refusal: 'incomplete' });
    case 'DENIED':
      return textAnswer(403, { kind, text: 'The storage denies it.\n', refusal: 'storage' });
    case 'STORE_MISSING':
      return textAnswer(409, { kind, text: 'There is no such folder.\n', refusal: 'name' });
    case 'CHUNK_DAMAGED':
    case 'FORMAT':
      return textAnswer(422, { kind, text: `${error.message}\n`, refusal: 'content' });
    default:
      return undefined;
  }
}

/** A store that cannot be leased for good has no chunks that somebody could rely on. */
function throwIfPassing(error: unknown): void {
  if (!isCasError(error) || error.retry === 'later' || error.code === 'LEASE_HELD') throw error;
}
