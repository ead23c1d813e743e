/**
 * The blocks of a version into whatever takes blocks: those that the destination does not have come
 * from the store, fetched and verified on all cores, in order (spec/images.md, "Version chains"). Used
 * by get of a version.
 */
import type { BlockRun } from '../../../formats/block-table.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { throwIfAborted } from '../../errors.ts';
import type { LocalStoreDescription } from '../../local-store.node.ts';
import { type ProgressSink, progressOf } from '../../progress.ts';
import { openJobPool, WORTH_THREADS } from '../../work/job-pool.node.ts';
import type { JobPool } from '../../work/jobs.node.ts';
import { SegmentRing } from '../../work/segment-ring.ts';
import { unattended } from '../../work/unattended.ts';
import type { BlockSink } from '../block-sink.ts';
import { ZeroDigests } from '../zero-digests.ts';
import type { BlockPart, VersionBlocks } from './version-blocks.node.ts';
import { versionRuns } from './version-runs.ts';

export interface RestoreOptions {
  /** Asked in this order. */
  readonly stores: readonly LocalStoreDescription[];
  /** Threads besides the caller's. */
  readonly threadCount: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
}

export interface RestoredBlocks {
  /** Bytes that came from the stores. */
  readonly fetchedBytes: number;
  /** Bytes that the destination had. */
  readonly keptBytes: number;
}

const BATCH_LENGTH = 1024 * 1024;
/** Runs of zeros are written so many bytes at a time. */
const ZEROS_AT_ONCE = 64 * 1024 * 1024;

/** What a sink lacks. */
interface Wanted {
  readonly run: BlockRun;
  readonly digests: Uint8Array;
  /** Bytes of the blocks. */
  readonly length: number;
}

interface Batch extends Wanted {
  /** Resolves when the bytes are there; undefined for zeros. */
  readonly address?: Promise<number>;
}

/**
 * Writes all blocks of a version that `sink.known` does not have. The caller finishes or abandons it.
 * @throws ChunkMissing | ChunkDamaged | StorageError about a block; what the sink throws
 */
export async function restoreBlocks(
  blocks: VersionBlocks,
  sink: Pick<BlockSink, 'known' | 'write'>,
  options: RestoreOptions,
): Promise<RestoredBlocks> {
  return new Restoring(blocks, sink, options).run();
}

class Restoring {
  readonly #blocks: VersionBlocks;
  readonly #blockSize: number;
  readonly #sink: Pick<BlockSink, 'known' | 'write'>;
  readonly #options: RestoreOptions;
  readonly #ring: SegmentRing;
  readonly #pool: JobPool;
  readonly #slotCount: number;
  readonly #batchBlocks: number;
  #fetchedBytes = 0;
  #keptBytes = 0;

  constructor(
    blocks: VersionBlocks,
    sink: Pick<BlockSink, 'known' | 'write'>,
    options: RestoreOptions,
  ) {
    this.#blocks = blocks;
    const { blockSize, digest } = blocks.version;
    this.#blockSize = blockSize;
    this.#sink = sink;
    this.#options = options;
    const { threadCount, stores: sources } = options;
    this.#batchBlocks = Math.max(1, Math.floor(BATCH_LENGTH / blockSize));
    this.#slotCount = 2 * (threadCount + 1) + 2;
    const slotSize = this.#batchBlocks * blockSize;
    this.#ring = new SegmentRing({ reservedSize: 0, slotSize, slotCount: this.#slotCount });
    this.#pool = openJobPool({ memory: this.#ring.memory, sources, digest }, threadCount);
  }

  async run(): Promise<RestoredBlocks> {
    const ahead: Batch[] = [];
    const { size } = this.#blocks.version;
    if (size >= WORTH_THREADS) this.#pool.start();
    try {
      for (const { isZeros, ...wanted } of this.#runs()) {
        throwIfAborted(this.#options.signal);
        ahead.push(isZeros ? wanted : this.#fetch(wanted));
        while (ahead.length >= this.#slotCount) await this.#write(ahead);
      }
      while (ahead.length > 0) await this.#write(ahead);
    } finally {
      await Promise.allSettled(ahead.map(({ address }) => address));
      await this.#pool.close();
    }
    return { fetchedBytes: this.#fetchedBytes, keptBytes: this.#keptBytes };
  }

  /** What the destination lacks, in pieces of a batch. */
  *#runs(): Generator<Wanted & { readonly isZeros: boolean }> {
    const { digest } = this.#blocks.version;
    const zeros = new ZeroDigests(createBlockDigest(digest), this.#blockSize);
    const zeroBlocks = Math.max(1, Math.floor(ZEROS_AT_ONCE / this.#blockSize));
    for (const part of this.#blocks.parts()) {
      const { table } = part;
      const lacks = (i: number): boolean => this.#lacks(part, i);
      for (const { first, count, isZeros } of versionRuns(table, zeros, lacks)) {
        const most = isZeros ? zeroBlocks : this.#batchBlocks;
        for (let done = 0; done < count; done += most) {
          const here = { first: first + done, count: Math.min(most, count - done) };
          const last = here.first + here.count - 1;
          const length = (here.count - 1) * this.#blockSize + table.sizeOf(last);
          const digests = table.digests(here.first, here.count);
          yield { run: { ...here, first: part.first + here.first }, digests, length, isZeros };
        }
      }
    }
  }

  #lacks({ first, table }: BlockPart, i: number): boolean {
    if (!this.#sink.known.has(first + i, table.digests(i, 1), 0)) return true;
    this.#keptBytes += table.sizeOf(i);
    return false;
  }

  #fetch(wanted: Wanted): Batch {
    return { ...wanted, address: unattended(this.#fetched(wanted)) };
  }

  async #fetched({ run, digests, length }: Wanted): Promise<number> {
    const address = await this.#ring.acquire();
    const lengths = Array.from({ length: run.count }, (_, i) =>
      Math.min(this.#blockSize, length - i * this.#blockSize),
    );
    try {
      await this.#pool.run('fetchChunks', { digests: digests.slice(), lengths, address });
      return address;
    } catch (error) {
      this.#ring.release(address);
      throw error;
    }
  }

  async #write(ahead: Batch[]): Promise<void> {
    const [batch] = ahead;
    if (batch === undefined) return;
    const { run, digests, length } = batch;
    if (batch.address === undefined) {
      ahead.shift();
      await this.#sink.write(run, digests, undefined);
    } else {
      const address = await batch.address;
      ahead.shift();
      this.#fetchedBytes += length;
      await this.#sink.write(run, digests, this.#ring.view(address, length));
      this.#ring.release(address);
    }
    const done = run.first * this.#blockSize + length;
    this.#options.onProgress?.(progressOf('get', done, this.#blocks.version.size));
  }
}
