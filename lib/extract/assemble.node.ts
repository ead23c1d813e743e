/**
 * Puts a blob together: every chunk of an index, from seeds or from a source, verified, written at its
 * place (spec/promises.md, 6). Works in passes over the chunks that are still to be found. Used by the
 * extraction of blobs.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { throwIfAborted } from '../errors.ts';
import type { ProgressSink } from '../progress.ts';
import {
  BATCH_COUNT,
  BATCH_LENGTH,
  type ChunkBatch,
  ChunkReader,
  type ChunkReaderOptions,
} from '../read/chunk-reader.node.ts';
import { createZeroFinder, type ZeroFinder } from '../read/zero-chunks.node.ts';
import type { SeedPart } from '../seed/seed.ts';
import { FETCHED } from '../work/jobs/fetch-chunks.node.ts';
import { unattended } from '../work/unattended.ts';
import { ChunkSet } from './chunk-set.ts';
import type { BlockOrigin, BlockTarget } from './target.ts';

export interface AssembleOptions extends ChunkReaderOptions {
  readonly onProgress?: ProgressSink;
}

/** A pass that takes from one seed what it has. */
export interface SeedPass {
  /** Where the seed may have a chunk. */
  readonly partsOf: (chunk: number) => readonly SeedPart[] | undefined;
  /** Where the chunks go; if left out, they are at their place already. */
  readonly target?: BlockTarget;
  /** Told of each chunk that was there. */
  readonly onFound?: (chunk: number) => void;
  /** Look less and less often where nothing was found for a while. */
  readonly backOff?: boolean;
}

/** Chunks whose turn comes next. */
type Step =
  | { readonly kind: 'batch'; readonly batch: Promise<ChunkBatch> }
  | { readonly kind: 'zeros'; readonly first: number; readonly next: number };

/** After so many batches without a find, at most this many are left out before the next look. */
const LONGEST_BACK_OFF = 32;

export class Assembly {
  readonly reader: ChunkReader;
  /** Chunks that are not at their place yet. */
  readonly remaining: ChunkSet;
  readonly #index: ChunkIndex;
  readonly #options: AssembleOptions;
  readonly #zeros: ZeroFinder;
  #doneBytes = 0;
  #doneCount = 0;
  #reusedCount = 0;

  constructor(index: ChunkIndex, options: AssembleOptions) {
    this.#index = index;
    this.#options = options;
    this.reader = new ChunkReader(index, options);
    this.remaining = new ChunkSet(index);
    this.#zeros = createZeroFinder(index);
  }

  close(): Promise<void> {
    return this.reader.close();
  }

  /** Bytes of all remaining chunks but runs of zeros. */
  bytesToFind(): number {
    let found = 0;
    const { remaining } = this;
    for (let next = remaining.next(0); next < this.#index.count; ) {
      const zeroCount = this.#zeros.countAt(next);
      if (zeroCount === 0) found += this.#index.size(next);
      next = remaining.next(next + Math.max(1, zeroCount));
    }
    return found;
  }

  /** Takes all remaining chunks from the seeds of the reader and its source, in order. */
  async fill(target: BlockTarget): Promise<void> {
    const steps: Step[] = [];
    for (let next = this.remaining.next(0); next < this.#index.count; ) {
      throwIfAborted(this.#options.signal);
      if (steps.length >= this.reader.slotCount) await this.#finish(steps.shift(), target);
      const zeroCount = this.#zeros.countAt(next);
      if (zeroCount > 0) {
        steps.push({ kind: 'zeros', first: next, next: next + zeroCount });
        next = this.remaining.next(next + zeroCount);
        continue;
      }
      const chunks = this.#collect(next, () => true);
      steps.push({ kind: 'batch', batch: unattended(this.reader.fetch(chunks)) });
      next = this.remaining.next(chunks[chunks.length - 1] + 1);
    }
    while (steps.length > 0) await this.#finish(steps.shift(), target);
  }

  /** Takes from a seed what it has of the remaining chunks; single zero chunks count, runs do not. */
  async takeFrom(pass: SeedPass): Promise<void> {
    const { partsOf } = pass;
    const options = { partsOf, fromSeedsOnly: true };
    const batches: Promise<ChunkBatch>[] = [];
    const backOff = new BackOff();
    const finish = async (): Promise<void> => {
      const batch = await batches.shift();
      if (batch === undefined) return;
      const found = await this.#finishBatch(batch, pass.target, pass.onFound);
      if (pass.backOff) backOff.note(found);
    };
    for (let next = this.remaining.next(0); next < this.#index.count; ) {
      throwIfAborted(this.#options.signal);
      const zeroCount = this.#zeros.countAt(next);
      if (zeroCount > 0) {
        next = this.remaining.next(next + zeroCount);
        continue;
      }
      if (backOff.skips()) {
        next = this.remaining.next(next + this.reader.batchCount(next));
        continue;
      }
      if (partsOf(next) === undefined) {
        next = this.remaining.next(next + 1);
        continue;
      }
      if (batches.length >= this.reader.slotCount) await finish();
      const chunks = this.#collect(next, (chunk) => partsOf(chunk) !== undefined);
      batches.push(unattended(this.reader.fetch(chunks, options)));
      next = this.remaining.next(chunks[chunks.length - 1] + 1);
    }
    while (batches.length > 0) await finish();
  }

  /** Remaining chunks from `first` on, up to the next run of zeros or the end of a batch. */
  #collect(first: number, isWanted: (chunk: number) => boolean): readonly number[] {
    const chunks: number[] = [];
    let length = 0;
    for (let next = first; next < this.#index.count; next = this.remaining.next(next + 1)) {
      const isFull = chunks.length >= BATCH_COUNT || length >= BATCH_LENGTH;
      if (isFull || (next > first && this.#zeros.countAt(next) > 0)) break;
      if (!isWanted(next)) continue;
      chunks.push(next);
      length += this.#index.size(next);
    }
    return chunks;
  }

  async #finish(step: Step | undefined, target: BlockTarget): Promise<void> {
    throwIfAborted(this.#options.signal);
    if (step?.kind === 'batch') await this.#finishBatch(await step.batch, target);
    if (step?.kind !== 'zeros') return;
    const start = this.#index.start(step.first);
    await target.zero(start, this.#index.end(step.next - 1) - start);
    for (let chunk = step.first; chunk < step.next; chunk++) this.#settle(chunk, true);
    this.#report();
  }

  /** @returns whether any of it was found */
  async #finishBatch(
    batch: ChunkBatch,
    target: BlockTarget | undefined,
    onFound?: (chunk: number) => void,
  ): Promise<boolean> {
    const outcome = await batch.ready;
    if (target !== undefined) await this.#write(batch, outcome, target);
    batch.release();
    let found = false;
    for (const [i, chunk] of batch.chunks.entries()) {
      if (outcome[i] === FETCHED.notThere) continue;
      found = true;
      onFound?.(chunk);
      this.#settle(chunk, outcome[i] === FETCHED.fromSeed);
    }
    this.#report();
    return found;
  }

  /** Writes what was found, chunks that follow one another at once. */
  async #write(batch: ChunkBatch, outcome: Uint8Array, target: BlockTarget): Promise<void> {
    const { chunks, bytes } = batch;
    const index = this.#index;
    let start = 0;
    for (let i = 0; i < chunks.length; ) {
      let next = i + 1;
      let length = index.size(chunks[i]);
      const origin = batch.originOf(i);
      const continues = (): boolean =>
        next < chunks.length &&
        chunks[next] === chunks[next - 1] + 1 &&
        (outcome[next] === FETCHED.notThere) === (outcome[i] === FETCHED.notThere) &&
        isContinued(origin, batch.originOf(next), length);
      for (; continues(); next++) length += index.size(chunks[next]);
      if (outcome[i] !== FETCHED.notThere) {
        const from = outcome[i] === FETCHED.fromSeed ? origin : undefined;
        await target.write(bytes.subarray(start, start + length), index.start(chunks[i]), from);
      }
      start += length;
      i = next;
    }
  }

  #settle(chunk: number, isReused: boolean): void {
    this.remaining.delete(chunk);
    this.#doneBytes += this.#index.size(chunk);
    this.#doneCount += 1;
    if (isReused) this.#reusedCount += 1;
  }

  #report(): void {
    this.#options.onProgress?.({
      phase: 'extract',
      doneBytes: this.#doneBytes,
      totalBytes: this.#index.totalSize,
      chunkCount: this.#doneCount,
      reusedChunkCount: this.#reusedCount,
    });
  }
}

/** Whether one origin goes on in the other; also if there is none. */
function isContinued(
  before: BlockOrigin | undefined,
  next: BlockOrigin | undefined,
  length: number,
): boolean {
  if (before === undefined || next === undefined) return before === next;
  return before.descriptor === next.descriptor && before.offset + length === next.offset;
}

/** Leaves out more and more where nothing is found. */
class BackOff {
  #misses = 0;
  #left = 0;

  note(found: boolean): void {
    this.#misses = found ? 0 : this.#misses + 1;
    this.#left = found ? 0 : Math.min(LONGEST_BACK_OFF, 2 ** this.#misses / 2 - 1);
  }

  /** Whether the next batch is left out. */
  skips(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
