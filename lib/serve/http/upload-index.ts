/**
 * Uploads of indexes: each must decode, and all its chunks must be in stores of the place, which are
 * leased until the index is visible. Then it appears at once, or replaces another one.
 */
import type { ChunkId } from '../../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../../formats/chunk-index.ts';
import { chunkKey } from '../../../formats/chunk-path.ts';
import { decodeIndex } from '../../../formats/index-codec.ts';
import type { ObjectBackend } from '../../../store/backend.ts';
import { createBreather } from '../../work/breathe.ts';
import { type Answer, textAnswer } from './answer.ts';
import { isOtherVersion } from './conditions.ts';
import type { Makers, StoreInUse } from './makers.ts';
import type { IndexRoute } from './route.ts';
import type { ServedPlace } from './served-place.ts';
import type { ServedRequest } from './served-request.ts';

export interface IndexUploadOptions {
  readonly place: ServedPlace;
  readonly makers: Makers;
  readonly suffix: string;
}

const DEFAULT_STORE = 'default.castr';
const PARALLEL_LOOKUPS = 64;

export class IndexUploads {
  readonly #options: IndexUploadOptions;
  /** Ends of the uploads that run, by key: two of the same index go one after the other. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: IndexUploadOptions) {
    this.#options = options;
  }

  /** @throws CasError `FORMAT` if it is no index; what reading the body throws; StorageError */
  async put(route: IndexRoute, request: ServedRequest, limit: number): Promise<Answer> {
    const bytes = await request.readBody(limit);
    const index = decodeIndex(bytes);
    const { key } = route;
    const before = this.#running.get(key);
    const running = (before ?? Promise.resolve())
      .catch(() => {})
      .then(() => this.#check(route, request, { bytes, index }));
    this.#running.set(key, running);
    try {
      return await running;
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
  }

  async #check(
    route: IndexRoute,
    { header, signal }: ServedRequest,
    { bytes, index }: { readonly bytes: Uint8Array; readonly index: ChunkIndex },
  ): Promise<Answer> {
    const { kind, folder } = route;
    const old = await this.#options.place.open(route, { isHead: true, signal });
    const etag = old === undefined ? undefined : `"${old.version}"`;
    old?.close();
    const isForbidden = old !== undefined && header('if-none-match')?.trim() === '*';
    if (isForbidden || isOtherVersion(header, etag)) {
      return textAnswer(412, { kind, text: 'There is another one.\n', refusal: 'exists' });
    }
    const beside = folder === '' ? DEFAULT_STORE : `${folder}/${DEFAULT_STORE}`;
    const others = this.#options.makers.stores.filter((store) => store !== beside);
    const missing = await this.#whenThere(await idsOf(index), [...others, beside], [], (used) =>
      this.#publish(route, bytes, used),
    );
    if (missing.length === 0) {
      const created = { kind, text: 'Stored.\n' };
      return old === undefined ? textAnswer(201, created) : textAnswer(204, { kind, text: '' });
    }
    const text = `${missing.length} chunks are missing, such as ${missing[0]}.\n`;
    return textAnswer(409, { kind, text, refusal: 'chunks' });
  }

  /**
   * Does something while the stores are leased that hold the chunks.
   * @returns the chunks that are in none of the stores; if there are any, nothing was done
   */
  async #whenThere(
    ids: readonly ChunkId[],
    stores: readonly string[],
    used: readonly StoreInUse[],
    work: (used: readonly StoreInUse[]) => Promise<void>,
  ): Promise<readonly ChunkId[]> {
    const [store, ...others] = stores;
    if (ids.length === 0) await work(used);
    if (ids.length === 0 || store === undefined) return ids;
    const { makers, suffix } = this.#options;
    if (!(await makers.isThere(store))) return this.#whenThere(ids, others, used, work);
    return makers.use(store, async (inUse) => {
      const absent = await missingIn(inUse.backend, ids, suffix);
      const isUseful = absent.length < ids.length;
      return this.#whenThere(absent, others, isUseful ? [...used, inUse] : used, work);
    });
  }

  async #publish(
    { key, folder }: IndexRoute,
    bytes: Uint8Array,
    used: readonly StoreInUse[],
  ): Promise<void> {
    const backend = await this.#options.place.openFolder(folder);
    try {
      // Chunks that others upload at the moment count only when they are durable.
      for (const store of used) await store.flush();
      // Before and after: some storage shows at once what it has accepted.
      for (const store of used) await store.confirm();
      await backend.put(key.slice(key.lastIndexOf('/') + 1), bytes);
      for (const store of used) await store.confirm();
      await backend.flush();
    } finally {
      await backend.close();
    }
  }
}

async function idsOf(index: ChunkIndex): Promise<readonly ChunkId[]> {
  const breathe = createBreather();
  const ids = new Set<ChunkId>();
  for (let i = 0; i < index.count; i++) {
    await breathe();
    ids.add(index.id(i));
  }
  return [...ids];
}

async function missingIn(
  backend: ObjectBackend,
  ids: readonly ChunkId[],
  suffix: string,
): Promise<readonly ChunkId[]> {
  const missing: ChunkId[] = [];
  const queue = ids.values();
  const breathe = createBreather();
  const lookUp = async (): Promise<void> => {
    for (const id of queue) {
      if (!(await backend.has([chunkKey(id, suffix), chunkKey(id, '')]))) missing.push(id);
      await breathe();
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_LOOKUPS }, lookUp));
  return missing;
}
