/**
 * The objects of a castr store by chunk: the one place that knows their names (spec/formats/castr.md,
 * "Names"). Used by castr-store.ts, and by all that pass chunks on as they are stored.
 */
import type { ChunkId } from '../formats/chunk-id.ts';
import { chunkKey, parseChunkKey } from '../formats/chunk-path.ts';
import { CasError, isCasError } from '../formats/errors.ts';
import type { ObjectBackend, SignalOption } from './backend.ts';
import type { ListedChunk } from './chunk-store.ts';
import { ChunkMissing } from './errors.ts';
import { isObjectKey } from './object-key.ts';
import type {
  GetStoredOptions,
  PutStoredOptions,
  StoredChunk,
  StoredChunkStore,
} from './stored-chunk.ts';

const COMPRESSED_SUFFIX = '.cacnk';

/**
 * @param backend belongs to the result from now on
 * @param suffix of compressed chunks; `.cacnk` if left out
 * @param options.asksForPlain whether chunks that are not compressed count as being there; true if left
 * out. They are read in any case, but to ask for each of them costs as much as to ask for the others
 * @throws CasError `USAGE` if the suffix cannot be part of a name
 */
export function openCastrObjects(
  backend: ObjectBackend,
  suffix: string = COMPRESSED_SUFFIX,
  { asksForPlain = true }: { readonly asksForPlain?: boolean } = {},
): CastrObjects {
  if (suffix.includes('/') || !isObjectKey(`0${suffix}`)) {
    throw new CasError('USAGE', { subject: suffix, reason: 'not a suffix for chunks' });
  }
  return new CastrObjects(backend, suffix, asksForPlain);
}

class CastrObjects implements StoredChunkStore {
  readonly #backend: ObjectBackend;
  /** The suffixes that a chunk may have; the first is that of new chunks. */
  readonly #suffixes: readonly string[];
  /** Those with which a chunk counts as being there. */
  readonly #askedFor: readonly string[];

  constructor(backend: ObjectBackend, suffix: string, asksForPlain: boolean) {
    this.#backend = backend;
    this.#suffixes = suffix === '' ? [''] : [suffix, ''];
    this.#askedFor = asksForPlain ? this.#suffixes : [suffix];
  }

  get label(): string {
    return this.#backend.label;
  }

  has(id: ChunkId, options?: SignalOption): boolean | Promise<boolean> {
    const keys = this.#askedFor.map((suffix) => chunkKey(id, suffix));
    return this.#backend.has(keys, options);
  }

  /** The object under the first name that is there. */
  async getStored(id: ChunkId, options: GetStoredOptions): Promise<StoredChunk> {
    let missing: CasError | undefined;
    for (const suffix of this.#suffixes) {
      try {
        const bytes = await this.#backend.get(chunkKey(id, suffix), options);
        return { bytes, isPlain: suffix !== this.#suffixes[0] };
      } catch (error) {
        if (!isCasError(error) || error.code !== 'OBJECT_MISSING') throw error;
        missing ??= error;
      }
    }
    const reason = missing?.reason ?? 'missing';
    throw new ChunkMissing({ subject: `${this.label}: chunk ${id}`, reason, cause: missing });
  }

  putStored(
    id: ChunkId,
    bytes: Uint8Array,
    { replace = false, signal }: PutStoredOptions = {},
  ): Promise<'stored' | 'present'> {
    const key = chunkKey(id, this.#suffixes[0]);
    return this.#backend.put(key, bytes, { ...(signal && { signal }), ifAbsent: !replace });
  }

  flush(options?: SignalOption): Promise<void> {
    return this.#backend.flush(options);
  }

  async *list(options?: SignalOption): AsyncGenerator<ListedChunk> {
    for await (const { key, size, modified } of this.#backend.list('', options)) {
      for (const suffix of this.#suffixes) {
        const id = parseChunkKey(key, suffix);
        if (id !== undefined) yield { id, size, modified };
      }
    }
  }

  async remove(id: ChunkId, options?: SignalOption): Promise<void> {
    for (const suffix of this.#suffixes) await this.#backend.remove(chunkKey(id, suffix), options);
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}
