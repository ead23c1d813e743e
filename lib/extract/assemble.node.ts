/**
 * Puts a blob together: every chunk of an index, fetched from a source that verifies it, written at
 * its place (spec/promises.md, 6). Used by `extract` for blobs.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { throwIfAborted } from '../errors.ts';
import type { ProgressSink } from '../progress.ts';
import {
  type ChunkBatch,
  ChunkReader,
  type ChunkReaderOptions,
} from '../read/chunk-reader.node.ts';
import { unattended } from '../work/unattended.ts';
import type { BlockTarget } from './target.ts';
import { createZeroFinder, type ZeroFinder } from './zero-chunks.node.ts';

export interface AssembleOptions extends ChunkReaderOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** Chunks whose turn comes next. */
type Step =
  | { readonly kind: 'batch'; readonly batch: Promise<ChunkBatch>; readonly next: number }
  | { readonly kind: 'zeros'; readonly first: number; readonly next: number };

/**
 * Fills `target` with the bytes behind `index` and commits it. After any failure the target is
 * discarded, nothing is left in flight, and the error names the chunk where it concerns one.
 * @throws ChunkMissing | ChunkDamaged | StorageError | PipelineError
 */
export async function assembleBlob(
  index: ChunkIndex,
  target: BlockTarget,
  options: AssembleOptions,
): Promise<void> {
  const assembly = new Assembly(index, target, options);
  try {
    await assembly.run();
    throwIfAborted(options.signal);
    await target.commit();
  } catch (error) {
    await target.discard();
    throwIfAborted(options.signal);
    throw error;
  } finally {
    await assembly.close();
  }
}

class Assembly {
  readonly #index: ChunkIndex;
  readonly #target: BlockTarget;
  readonly #options: AssembleOptions;
  readonly #reader: ChunkReader;
  readonly #zeros: ZeroFinder;
  readonly #steps: Step[] = [];
  #reusedCount = 0;

  constructor(index: ChunkIndex, target: BlockTarget, options: AssembleOptions) {
    this.#index = index;
    this.#target = target;
    this.#options = options;
    this.#reader = new ChunkReader(index, options);
    this.#zeros = createZeroFinder(index);
  }

  async run(): Promise<void> {
    for (let next = 0; next < this.#index.count; ) {
      throwIfAborted(this.#options.signal);
      if (this.#steps.length >= this.#reader.slotCount) await this.#finishStep();
      const step = this.#begin(next);
      this.#steps.push(step);
      next = step.next;
    }
    while (this.#steps.length > 0) await this.#finishStep();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  #begin(first: number): Step {
    const zeroCount = this.#zeros.countAt(first);
    if (zeroCount > 0) return { kind: 'zeros', first, next: first + zeroCount };
    const count = this.#zeros.countBefore(first, this.#reader.batchCount(first));
    const batch = unattended(this.#reader.fetch(first, count));
    return { kind: 'batch', batch, next: first + count };
  }

  async #finishStep(): Promise<void> {
    const step = this.#steps.shift();
    if (step === undefined) return;
    throwIfAborted(this.#options.signal);
    if (step.kind === 'batch') await this.#finishBatch(await step.batch);
    else await this.#writeZeros(step.first, step.next);
    this.#options.onProgress?.({
      phase: 'extract',
      doneBytes: this.#index.end(step.next - 1),
      totalBytes: this.#index.totalSize,
      chunkCount: step.next,
      reusedChunkCount: this.#reusedCount,
    });
  }

  async #finishBatch(batch: ChunkBatch): Promise<void> {
    await batch.ready;
    await this.#target.write(batch.bytes, batch.start);
    batch.release();
  }

  async #writeZeros(first: number, next: number): Promise<void> {
    const start = this.#index.start(first);
    await this.#target.zero(start, this.#index.end(next - 1) - start);
    this.#reusedCount += next - first;
  }
}
