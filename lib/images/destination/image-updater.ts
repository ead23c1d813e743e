/**
 * The update of a destination: blocks are collected, announced in the journal of the map and written,
 * so that whatever happens the map never says what the destination does not hold (spec/formats/map.md,
 * "Order").
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import type { SinkResult } from '../block-sink.ts';
import type { FsyncPolicy, ImageUpdate } from './image-update.ts';
import type { MapStart, MapWriter } from './map-writer.ts';
import type { OpenedDestination } from './opened-destination.ts';
import { PendingWrites } from './pending-writes.ts';
import { unknownRuns } from './unknown-runs.ts';

/** Blocks that were read. */
export interface ReadBlocks extends BlockRun {
  readonly digests: Uint8Array;
  readonly byteCount: number;
}

export interface ImageUpdaterParts {
  readonly destination: OpenedDestination;
  readonly digest: BlockDigest;
  readonly start: MapStart;
  /** Undefined for an update without map. */
  readonly map: MapWriter | undefined;
  readonly mapPath: string | undefined;
  /** Reads blocks of the destination, in order; what cannot be read has digests of zero bytes. */
  readonly readBlocks: (runs: readonly BlockRun[], size: number) => AsyncIterable<ReadBlocks>;
  readonly nowMs: () => number;
  readonly batch: number;
  readonly fsync: FsyncPolicy;
  readonly isDryRun: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onUndo: ((run: BlockRun, bytes: Uint8Array) => Promise<void>) | undefined;
  readonly onRead: ((bytes: number) => void) | undefined;
}

/** Longest time between two checkpoints. */
const LONGEST_BATCH_MS = 5000;
const UNDO_AT_ONCE = 1024 * 1024;

export class ImageUpdater implements ImageUpdate {
  readonly known: BlockTable;
  readonly blockSize: number;
  readonly digest: BlockDigest['name'];
  readonly destination: OpenedDestination;
  readonly size: number | undefined;
  readonly mapPath: string | undefined;
  readonly isMapClean: boolean;
  readonly root: Uint8Array | undefined;
  readBytes = 0;
  readonly #parts: ImageUpdaterParts;
  readonly #pending: PendingWrites;
  /** Bytes of the image that the files of the map speak of. */
  readonly #startSize: number;
  #isBaseReady = false;
  #writtenBytes = 0;
  #holeBytes = 0;
  #hasBegun = false;
  /** Number of the block behind the last one that was given to those who keep what is overwritten. */
  #keptUpTo = 0;
  #openBytes = 0;
  #openSinceMs: number | undefined;
  /** Zeros at the end of what came so far of a stream: whether the block is whole shows later. */
  #deferred: { readonly block: number; readonly digest: Uint8Array } | undefined;
  #state: 'open' | 'failed' | 'closed' = 'open';

  constructor(parts: ImageUpdaterParts) {
    const { destination, start, digest } = parts;
    this.#parts = parts;
    this.known = start.table;
    this.blockSize = start.table.blockSize;
    this.digest = digest.name;
    this.destination = destination;
    this.size = destination.imageSize;
    this.mapPath = parts.mapPath;
    this.isMapClean = start.root !== undefined;
    this.root = start.root;
    this.#startSize = start.table.size;
    this.#pending = new PendingWrites(this.blockSize, parts.batch);
  }

  async readDestination(): Promise<void> {
    for await (const _ of this.readings());
  }

  async *readings(): AsyncGenerator<BlockRun> {
    const { destination, readBlocks, onRead, signal } = this.#parts;
    if (destination.descriptor === undefined) return;
    const size = Math.min(this.known.size, destination.traces().destinationSize);
    const runs = [...unknownRuns(this.known, size)];
    if (runs.length === 0) return;
    for await (const { first, count, digests, byteCount } of readBlocks(runs, size)) {
      throwIfAborted(signal);
      this.#learn({ first, count }, digests, size);
      this.readBytes += byteCount;
      onRead?.(this.readBytes);
      yield { first, count };
    }
  }

  /** What was written meanwhile is known better. @param size bytes of the image while it was read */
  #learn({ first, count }: BlockRun, digests: Uint8Array, size: number): void {
    const { known, blockSize } = this;
    // The last block may have got another length since.
    const isLearnt = (block: number): boolean =>
      block < Math.min(first + count, known.count) &&
      known.isUnknown(block) &&
      known.sizeOf(block) === Math.min(blockSize, size - block * blockSize);
    for (let block = first; block < first + count; block++) {
      const start = block;
      while (isLearnt(block)) block += 1;
      if (block === start) continue;
      const part = digests.subarray(
        (start - first) * DIGEST_LENGTH,
        (block - first) * DIGEST_LENGTH,
      );
      known.set(start, part);
    }
  }

  async write(run: BlockRun, digests: Uint8Array, bytes: Uint8Array | undefined): Promise<void> {
    throwIfAborted(this.#parts.signal);
    await this.#attempt(async () => {
      await this.#settleDeferred();
      const isOpenEnd = this.size === undefined && bytes === undefined;
      const count = isOpenEnd ? run.count - 1 : run.count;
      await this.#take({ first: run.first, count }, digests, bytes);
      if (!isOpenEnd) return;
      const digest = digests.slice(count * DIGEST_LENGTH, run.count * DIGEST_LENGTH);
      this.#deferred = { block: run.first + count, digest };
    });
  }

  async finish(size: number): Promise<SinkResult> {
    if (this.size !== undefined && this.size !== size) throw new Error('not the agreed size');
    const root = await this.#attempt(() => this.#finish(size));
    this.#close();
    return { root, writtenBytes: this.#writtenBytes, holeBytes: this.#holeBytes };
  }

  async abandon(): Promise<void> {
    if (this.#state === 'closed') return;
    try {
      if (this.#state === 'open') await this.#keepProgress();
    } catch {
      // Why the work ends is told already, and the journal says what was not carried out.
    } finally {
      this.#close();
    }
  }

  async #attempt<T>(action: () => Promise<T>): Promise<T> {
    if (this.#state !== 'open') throw new Error('the update has ended');
    try {
      return await action();
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  #close(): void {
    this.#state = 'closed';
    this.#parts.destination.close();
    this.#parts.map?.close();
  }

  async #settleDeferred(length = this.blockSize): Promise<void> {
    const deferred = this.#deferred;
    if (deferred === undefined) return;
    this.#deferred = undefined;
    await this.#take({ first: deferred.block, count: 1 }, deferred.digest, undefined, length);
  }

  /** @param lastLength of the last block, for zeros at the end of a stream */
  async #take(
    run: BlockRun,
    digests: Uint8Array,
    bytes: Uint8Array | undefined,
    lastLength = this.blockSize,
  ): Promise<void> {
    if (run.count === 0) return;
    await this.#keepBase();
    const start = run.first * this.blockSize;
    const whole = (run.count - 1) * this.blockSize + lastLength;
    const length = bytes?.length ?? Math.min(whole, (this.size ?? Infinity) - start);
    const isEnd = length % this.blockSize !== 0;
    const size = this.size ?? (isEnd ? start + length : Math.max(this.known.size, start + length));
    if (size !== this.known.size) this.known.resize(size);
    this.known.set(run.first, digests.subarray(0, run.count * DIGEST_LENGTH));
    if (bytes === undefined) this.#holeBytes += length;
    else this.#writtenBytes += length;
    if (this.#parts.isDryRun) return;
    for (let rest = run.first, taken = 0; taken < length; ) {
      const added = this.#pending.add(rest, {
        digests: this.known.digests(rest, run.first + run.count - rest),
        bytes: bytes?.subarray(taken),
        length: length - taken,
      });
      rest += added.count;
      taken += added.length;
      if (this.#pending.isFull) await this.#flush();
    }
    this.#openSinceMs ??= this.#parts.nowMs();
    if (this.#isBatchFull()) await this.#commit();
  }

  #isBatchFull(): boolean {
    const { fsync, batch, nowMs } = this.#parts;
    if (fsync !== 'batch') return false;
    if (this.#openBytes + this.#pending.byteCount >= batch) return true;
    return this.#openSinceMs !== undefined && nowMs() - this.#openSinceMs >= LONGEST_BATCH_MS;
  }

  /** Intent first, and only when that is on disk the blocks. */
  async #flush(): Promise<void> {
    if (this.#pending.isEmpty) return;
    const { map, destination } = this.#parts;
    for (const { offset, length } of this.#pending.pieces()) {
      await this.#undo(offset, Math.ceil(length / this.blockSize) * this.blockSize);
    }
    await this.#begin();
    await map?.announce(this.#pending.intent(this.known.size));
    for (const { offset, length, bytes } of this.#pending.pieces()) {
      if (bytes !== undefined) await destination.write(bytes, offset);
      else if (!(await destination.zero(offset, length))) {
        this.#holeBytes -= length;
        this.#writtenBytes += length;
      }
    }
    this.#openBytes += this.#pending.byteCount;
    this.#pending.clear();
  }

  /** From here on all that was taken is on disk, and the journal says so with its next sync. */
  async #commit(): Promise<void> {
    await this.#flush();
    const { destination, map } = this.#parts;
    await destination.sync();
    map?.committed();
    this.#openBytes = 0;
    this.#openSinceMs = undefined;
  }

  async #keepProgress(): Promise<void> {
    const { isDryRun, map } = this.#parts;
    if (isDryRun || (this.#pending.isEmpty && !this.#hasBegun)) return;
    await this.#commit();
    await map?.sync();
  }

  /** Before the first change of the destination. */
  async #begin(): Promise<void> {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#parts.destination.create();
    await this.#parts.map?.begin();
  }

  /** Before `known` changes for the first time. */
  async #keepBase(): Promise<void> {
    if (this.#isBaseReady) return;
    this.#isBaseReady = true;
    if (!this.#parts.isDryRun) await this.#parts.map?.keep(this.known);
  }

  async #undo(offset: number, length: number): Promise<void> {
    const { destination, onUndo } = this.#parts;
    if (onUndo === undefined || destination.descriptor === undefined) return;
    const last = destination.keepsRest ? (this.size ?? destination.size) : destination.size;
    const end = Math.min(offset + length, last, destination.size);
    const step = Math.max(1, Math.floor(UNDO_AT_ONCE / this.blockSize)) * this.blockSize;
    for (let at = offset; at < end; at += step) {
      const bytes = new Uint8Array(Math.min(step, end - at));
      destination.read(bytes, at);
      const count = Math.ceil(bytes.length / this.blockSize);
      await onUndo({ first: at / this.blockSize, count }, bytes);
      this.#keptUpTo = at / this.blockSize + count;
    }
  }

  async #finish(size: number): Promise<Uint8Array> {
    const behind = size - (this.#deferred?.block ?? 0) * this.blockSize;
    await this.#settleDeferred(Math.min(this.blockSize, behind));
    const { destination, map, isDryRun, fsync, start, digest } = this.#parts;
    if (isDryRun) {
      this.#settleSize(size);
      return rootOfTable(digest, this.known);
    }
    await this.#flush();
    if (size !== this.known.size) await this.#begin();
    this.#settleSize(size);
    await this.#resize(size);
    await this.#readRest();
    const isUntouched = !this.#hasBegun && start.kind === 'good' && size === this.#startSize;
    if (isUntouched && start.root !== undefined) return start.root;
    if (fsync !== 'none') await destination.sync();
    const root = rootOfTable(digest, this.known);
    await map?.complete(this.known, root);
    return root;
  }

  /** Sets the length of a file. */
  async #resize(size: number): Promise<void> {
    const { destination } = this.#parts;
    if (destination.kind === 'device') return;
    const { destinationSize } = destination.traces();
    const wanted = destination.keepsRest ? Math.max(size, destinationSize) : size;
    if (wanted === destinationSize && destination.descriptor !== undefined) return;
    const cut = Math.floor(wanted / this.blockSize);
    // A block that is cut is kept as a whole, unless it was when it was written.
    const start = (this.#keptUpTo > cut ? cut + 1 : cut) * this.blockSize;
    await this.#undo(start, destinationSize - start);
    await this.#begin();
    // Whatever is cut off is no longer known before it is gone.
    await this.#parts.map?.sync();
    destination.resize(wanted);
  }

  /** The table gets the size of the image: of a stream it may be smaller than what was there. */
  #settleSize(size: number): void {
    if (this.known.size === size) return;
    this.known.resize(size);
    if (this.#parts.isDryRun) return;
    this.#parts.map?.announceSize(size);
  }

  /** What nobody has written and nobody knew. */
  async #readRest(): Promise<void> {
    await this.readDestination();
    const [rest] = unknownRuns(this.known, this.known.size);
    if (rest === undefined) return;
    const subject = this.#parts.destination.label;
    const reason = `block ${rest.first} of ${this.blockSize} bytes cannot be read`;
    throw new PipelineError('IO', { subject, step: 'read destination', reason });
  }
}
