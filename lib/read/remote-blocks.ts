/**
 * The blocks of a file on another machine: those in memory, those on their way, and the requests for them.
 * Used by remote-blob.node.ts.
 */
import type { RemoteFile } from '../../store/remote-file.ts';
import { abortedError, PipelineError } from '../errors.ts';
import { deferred } from '../work/deferred.ts';
import type { BlobRange } from './blob-reader.ts';

/** All blocks but the last have this length. */
export const BLOCK_LENGTH = 64 * 1024;
/** Longer ranges become several requests, side by side. */
const MOST_BLOCKS = 16;
const MOST_UNDER_WAY = 8;
/** Who waits finds something free. */
const MOST_AHEAD = 6;

/** Neighbouring blocks that are on their way, or wait for it. */
export interface BlockRequest {
  readonly first: number;
  readonly count: number;
  /** Blocks in order. */
  readonly arrived: Promise<readonly Uint8Array[]>;
  /** Calls that wait for it. */
  waiterCount: number;
  /** Begins it. */
  readonly start: () => void;
  /** Ends it. */
  readonly controller: AbortController;
  /** Whether it goes on although nobody waits. */
  readonly isAhead: boolean;
}

/** A block, or the request that brings it. */
export type Block = Uint8Array | BlockRequest;

export interface RemoteBlocksOptions {
  /** Bytes of the file. */
  readonly size: number;
  /** Memory for blocks, in bytes. */
  readonly cacheSize: number;
}

export class RemoteBlocks {
  readonly #file: RemoteFile;
  readonly #size: number;
  readonly #capacity: number;
  /** What was used last stands last. */
  readonly #cached = new Map<number, Uint8Array>();
  readonly #requested = new Map<number, BlockRequest>();
  readonly #underWay = new Set<BlockRequest>();
  /** Requests whose turn has not come: those that somebody waits for, and the others. */
  readonly #wanted = new Set<BlockRequest>();
  readonly #ahead = new Set<BlockRequest>();

  constructor(file: RemoteFile, { size, cacheSize }: RemoteBlocksOptions) {
    this.#file = file;
    this.#size = size;
    this.#capacity = Math.max(1, Math.floor(cacheSize / BLOCK_LENGTH));
  }

  /** All blocks of a range that is not empty; what is neither here nor on its way is asked for. */
  take(range: BlobRange): readonly Block[] {
    return this.#blocksOf(range, false);
  }

  /** Asks for a range that nobody waits for yet. */
  readAhead(range: BlobRange): void {
    if (range.length > 0) this.#blocksOf(range, true);
  }

  /** Somebody waits for a request, and says so before anything else happens. */
  join(request: BlockRequest): void {
    request.waiterCount += 1;
    if (!this.#ahead.delete(request)) return;
    this.#wanted.add(request);
  }

  /** Somebody does not wait any more: without others the request is given up, if it has not ended. */
  leave(request: BlockRequest): void {
    request.waiterCount -= 1;
    if (request.waiterCount > 0 || request.isAhead) return;
    if (this.#requested.get(request.first) === request) this.#end(request);
  }

  /** Gives up all requests; resolves when none is under way any more. */
  async close(): Promise<void> {
    const underWay = [...this.#underWay];
    for (const request of new Set(this.#requested.values())) this.#end(request);
    await Promise.allSettled(underWay.map(({ arrived }) => arrived));
    this.#cached.clear();
  }

  #blocksOf({ offset, length }: BlobRange, isAhead: boolean): Block[] {
    const first = Math.floor(offset / BLOCK_LENGTH);
    const end = Math.ceil((offset + length) / BLOCK_LENGTH);
    const blocks: Block[] = [];
    for (let number = first; number < end; number = first + blocks.length) {
      const known = this.#find(number);
      if (known !== undefined) {
        blocks.push(known);
        continue;
      }
      const request = this.#request(number, end, isAhead);
      for (let i = 0; i < request.count; i++) blocks.push(request);
    }
    return blocks;
  }

  #find(number: number): Block | undefined {
    const cached = this.#cached.get(number);
    if (cached === undefined) return this.#requested.get(number);
    this.#cached.delete(number);
    this.#cached.set(number, cached);
    return cached;
  }

  /** Asks for a block and for those behind it that lack, too. */
  #request(first: number, end: number, isAhead: boolean): BlockRequest {
    let count = 1;
    while (count < MOST_BLOCKS && first + count < end && !this.#isKnown(first + count)) count += 1;
    const controller = new AbortController();
    const { promise: started, resolve: start } = deferred<void>();
    const arrived = started.then(() => this.#fetch(first, count, controller.signal));
    const request = { first, count, arrived, start, controller, isAhead, waiterCount: 0 };
    const ended = (): void => this.#hasEnded(request);
    arrived.then((blocks) => this.#keep(request, blocks)).then(ended, ended);
    for (let i = 0; i < count; i++) this.#requested.set(first + i, request);
    (isAhead ? this.#ahead : this.#wanted).add(request);
    this.#beginNext();
    return request;
  }

  #isKnown(number: number): boolean {
    return this.#cached.has(number) || this.#requested.has(number);
  }

  async #fetch(first: number, count: number, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    if (signal.aborted) throw abortedError();
    const offset = first * BLOCK_LENGTH;
    const length = Math.min(count * BLOCK_LENGTH, this.#size - offset);
    const bytes = await this.#file.readRange({ offset, length }, { signal });
    if (bytes.length < length) throw this.#endedEarly(offset + bytes.length);
    // Copies: a block that stays in memory must not keep all the others there.
    return Array.from({ length: count }, (_, i) =>
      bytes.slice(i * BLOCK_LENGTH, (i + 1) * BLOCK_LENGTH),
    );
  }

  #endedEarly(offset: number): PipelineError {
    const reason = `the file became shorter, it ends at ${offset} now`;
    return new PipelineError('SOURCE_CHANGED', {
      subject: this.#file.label,
      step: 'read',
      reason,
    });
  }

  #keep({ first }: BlockRequest, blocks: readonly Uint8Array[]): void {
    for (const [i, block] of blocks.entries()) this.#cached.set(first + i, block);
    for (const number of this.#cached.keys()) {
      if (this.#cached.size <= this.#capacity) return;
      this.#cached.delete(number);
    }
  }

  #end(request: BlockRequest): void {
    request.controller.abort(abortedError());
    request.start();
    this.#hasEnded(request);
  }

  #hasEnded(request: BlockRequest): void {
    const { first, count } = request;
    for (let number = first; number < first + count; number++) {
      if (this.#requested.get(number) === request) this.#requested.delete(number);
    }
    this.#wanted.delete(request);
    this.#ahead.delete(request);
    this.#underWay.delete(request);
    this.#beginNext();
  }

  #beginNext(): void {
    this.#begin(this.#wanted, MOST_UNDER_WAY);
    this.#begin(this.#ahead, MOST_AHEAD);
  }

  #begin(line: Set<BlockRequest>, most: number): void {
    for (const request of line) {
      if (this.#underWay.size >= most) return;
      line.delete(request);
      this.#underWay.add(request);
      request.start();
    }
  }
}
