/**
 * The sweep of garbage collection in a store that is no folder of this machine: by listing it, and
 * removing in batches (spec/formats/castr.md, "Cleaning"). Used by gc.
 */
import { CHUNK_ID_LENGTH, parseChunkId, writeChunkId } from '../../formats/chunk-id.ts';
import type { ListedObject, ObjectBackend, ObjectKey } from '../../store/backend.ts';
import { throwIfAborted } from '../errors.ts';
import type { ChunkIdSet } from './chunk-id-set.ts';
import type { SweepOptions, SweepResult } from './sweep.node.ts';

const CHUNK_PLACE = /^[0-9a-f]{4}\/([^/]+)$/;
/** Chunks are listed by the first digits of their names, so many listings at a time. */
const FIRST_DIGITS = [...'0123456789abcdef'];
const LISTINGS = 4;
/** Objects that are removed at once, after one look at the lease. */
const BATCH_COUNT = 1000;
const SINGLE_BATCH_COUNT = 64;
/** Removed at a time, where each takes a request. */
const REMOVALS = 16;

/**
 * @throws StorageError; PipelineError `ABORTED`; what `confirm` throws
 */
export function sweepObjects(
  backend: ObjectBackend,
  live: ChunkIdSet,
  options: SweepOptions,
): Promise<SweepResult> {
  return new ObjectSweep(backend, live, options).run();
}

class ObjectSweep {
  readonly #backend: ObjectBackend;
  readonly #live: ChunkIdSet;
  readonly #options: SweepOptions;
  readonly #id = new Uint8Array(CHUNK_ID_LENGTH);
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #batchCount: number;
  #garbage: ListedObject[] = [];
  #removedCount = 0;
  #remainingCount = 0;
  #removedBytes = 0;

  constructor(backend: ObjectBackend, live: ChunkIdSet, options: SweepOptions) {
    this.#backend = backend;
    this.#live = live;
    this.#options = options;
    this.#batchCount = backend.removeMany === undefined ? SINGLE_BATCH_COUNT : BATCH_COUNT;
    const { signal: failed } = this.#failed;
    this.#signal = options.signal ? AbortSignal.any([failed, options.signal]) : failed;
  }

  async run(): Promise<SweepResult> {
    await this.#each(FIRST_DIGITS, LISTINGS, (digit) => this.#sweepDigit(digit));
    await this.#removeGarbage();
    return {
      removedCount: this.#removedCount,
      removedFolderCount: 0,
      remainingCount: this.#remainingCount,
      removedBytes: this.#removedBytes,
      temporaryCount: 0,
    };
  }

  /** Works on all, some at a time. The first failure ends the others. */
  async #each<T>(
    all: readonly T[],
    atATime: number,
    work: (one: T) => Promise<void>,
  ): Promise<void> {
    const rest = all.values();
    let first: { readonly error: unknown } | undefined;
    const worker = async (): Promise<void> => {
      for (const one of rest) {
        if (first !== undefined) return;
        try {
          await work(one);
        } catch (error) {
          first ??= { error };
          this.#failed.abort(error);
        }
      }
    };
    await Promise.all(Array.from({ length: atATime }, worker));
    throwIfAborted(this.#options.signal);
    if (first !== undefined) throw first.error;
  }

  async #sweepDigit(digit: string): Promise<void> {
    for await (const object of this.#backend.list(digit, { signal: this.#signal })) {
      throwIfAborted(this.#options.signal);
      if (this.#isGarbage(object.key)) this.#garbage.push(object);
      if (this.#garbage.length >= this.#batchCount) await this.#removeGarbage();
    }
    this.#report();
  }

  /** Counts compressed chunks that stay; everything else is not ours to judge. */
  #isGarbage(key: ObjectKey): boolean {
    const { suffixes, onEvent } = this.#options;
    const name = CHUNK_PLACE.exec(key)?.[1];
    if (name === undefined || !suffixes.some((suffix) => name.endsWith(suffix))) return false;
    const id = parseChunkId(name.split('.', 1)[0]);
    if (id !== undefined) {
      writeChunkId(id, this.#id, 0);
      if (!this.#live.has(this.#id)) return true;
    } else onEvent?.({ kind: 'unnamed', name });
    this.#remainingCount += 1;
    return false;
  }

  async #removeGarbage(): Promise<void> {
    const batch = this.#garbage;
    this.#garbage = [];
    if (batch.length === 0) return;
    const { dryRun, confirm, onEvent } = this.#options;
    if (!dryRun) await confirm();
    for (const { key } of batch) {
      onEvent?.({ kind: 'chunk', name: key.slice(key.lastIndexOf('/') + 1) });
    }
    if (!dryRun) await this.#remove(batch.map(({ key }) => key));
    this.#removedCount += batch.length;
    for (const { size } of batch) this.#removedBytes += size;
    this.#report();
  }

  async #remove(keys: readonly ObjectKey[]): Promise<void> {
    const option = { signal: this.#signal };
    if (this.#backend.removeMany !== undefined) await this.#backend.removeMany(keys, option);
    else await this.#each(keys, REMOVALS, (key) => this.#backend.remove(key, option));
  }

  #report(): void {
    this.#options.onProgress?.({
      phase: 'gc',
      doneBytes: this.#removedBytes,
      chunkCount: this.#removedCount + this.#remainingCount,
    });
  }
}
