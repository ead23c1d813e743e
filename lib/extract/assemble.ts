/**
 * Puts a blob together: every chunk of an index, fetched from a source that verifies it, written at
 * its place (spec/promises.md, 6). Used by `extract` for blobs.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { CasError, isCasError } from '../../formats/errors.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { ChunkDamaged } from '../../store/errors.ts';
import { throwIfAborted } from '../errors.ts';
import type { ProgressSink } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';
import type { BlockTarget } from './target.ts';

export interface AssembleOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Most chunks that are fetched at a time; default 8. */
  readonly concurrency?: number;
}

/** A chunk on its way, for one or several places in a row. */
interface Fetched {
  readonly id: ChunkId;
  readonly bytes: Promise<Uint8Array>;
}

/**
 * Fills `target` with the bytes behind `index` and commits it. After any failure the target is
 * discarded, nothing is left in flight, and the error names the chunk where it concerns one.
 * @throws ChunkMissing | ChunkDamaged | StorageError | PipelineError
 */
export async function assembleBlob(
  index: ChunkIndex,
  source: ChunkSource,
  target: BlockTarget,
  options: AssembleOptions = {},
): Promise<void> {
  const fetches = new FetchQueue(index, source, options);
  try {
    await writeAll(index, fetches, target, options);
    throwIfAborted(options.signal);
    await target.commit();
  } catch (error) {
    await target.discard();
    throwIfAborted(options.signal);
    throw error;
  } finally {
    await fetches.cancel();
  }
}

async function writeAll(
  index: ChunkIndex,
  fetches: FetchQueue,
  target: BlockTarget,
  options: AssembleOptions,
): Promise<void> {
  const breathe = createBreather();
  for (let number = 0; number < index.count; number++) {
    throwIfAborted(options.signal);
    await breathe();
    await target.write(await fetches.take(number), index.start(number));
    options.onProgress?.({
      phase: 'extract',
      doneBytes: index.end(number),
      totalBytes: index.totalSize,
      chunkCount: number + 1,
      reusedChunkCount: fetches.reusedCount,
    });
  }
}

/** Fetches ahead of the writer, in order, a bounded number of chunks. */
class FetchQueue {
  readonly #index: ChunkIndex;
  readonly #source: ChunkSource;
  readonly #concurrency: number;
  readonly #abort = new AbortController();
  readonly #queue: Fetched[] = [];
  readonly #stop: () => void;
  #next = 0;
  #last: Fetched | undefined;
  /** Chunks that were not fetched because they equal the one before. */
  reusedCount = 0;

  constructor(index: ChunkIndex, source: ChunkSource, options: AssembleOptions) {
    this.#index = index;
    this.#source = source;
    this.#concurrency = Math.max(1, options.concurrency ?? 8);
    this.#stop = () => this.#abort.abort();
    options.signal?.addEventListener('abort', this.#stop, { signal: this.#abort.signal });
  }

  /** The bytes of chunk `number`; to be called with 0, 1, 2 and so on. */
  async take(number: number): Promise<Uint8Array> {
    while (this.#next < this.#index.count && this.#queue.length < this.#concurrency) this.#start();
    const fetched = this.#queue.shift();
    if (fetched === undefined) throw new RangeError('there is no such chunk');
    const bytes = await fetched.bytes;
    const expected = this.#index.size(number);
    if (bytes.length === expected) return bytes;
    const reason = `${bytes.length} bytes, but the index says ${expected}`;
    throw new ChunkDamaged({ subject: fetched.id, step: 'check chunk', reason });
  }

  /** Resolves when nothing is in flight any more. */
  async cancel(): Promise<void> {
    this.#abort.abort();
    await Promise.allSettled(this.#queue.map((fetched) => fetched.bytes));
  }

  #start(): void {
    const number = this.#next++;
    const id = this.#index.id(number);
    const repeated = this.#last?.id === id;
    const fetched = repeated && this.#last ? this.#last : { id, bytes: this.#fetch(id, number) };
    if (repeated) this.reusedCount += 1;
    this.#last = fetched;
    this.#queue.push(fetched);
  }

  #fetch(id: ChunkId, number: number): Promise<Uint8Array> {
    const expectedSize = this.#index.size(number);
    const bytes = this.#source
      .get(id, { expectedSize, signal: this.#abort.signal })
      .catch((error: unknown) => {
        throw withChunkId(error, id);
      });
    // The writer learns of a failure when it comes to this chunk; it may give up before.
    bytes.catch(() => undefined);
    return bytes;
  }
}

/** The same failure, with the chunk id in its message. */
function withChunkId(error: unknown, id: ChunkId): unknown {
  if (!isCasError(error) || error.message.includes(id)) return error;
  const parts = { subject: id, step: 'get chunk', reason: error.message, retry: error.retry };
  return new CasError(error.code, { ...parts, cause: error });
}
