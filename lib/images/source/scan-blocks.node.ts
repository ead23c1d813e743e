/**
 * The one way to read an image by its blocks: parts are read and digested on all cores and come out in
 * order, bytes and digests together, so that whoever writes a block writes the bytes that its digest
 * is of (spec/images.md, "Guarantees").
 */
import {
  type BlockDigest,
  type BlockDigestName,
  DIGEST_LENGTH,
} from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { copyBytes } from '../../os/memory.node.ts';
import { inOrder } from '../../work/in-order.ts';
import type { JobSetup } from '../../work/job-context.node.ts';
import { openJobPool, WORTH_THREADS } from '../../work/job-pool.node.ts';
import { BLOCK_KIND } from '../../work/jobs/digest-blocks.node.ts';
import type { JobPool } from '../../work/jobs.node.ts';
import { SegmentRing } from '../../work/segment-ring.ts';
import { ZeroDigests } from '../zero-digests.ts';
import type { DataPart, ImagePart, ImageSource } from './image-source.node.ts';

export interface BlockScanOptions {
  readonly blockSize: number;
  readonly digest: BlockDigestName;
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  /** Whether blocks that cannot be read are marked, instead of ending the work. */
  readonly skipsUnreadable?: boolean;
  /** Portions that the caller holds while it takes the next one; 1 if left out. */
  readonly heldPortions?: number;
  /** What other jobs over the same memory need ({@link BlockScan.pool}). */
  readonly setup?: Pick<JobSetup, 'digest' | 'compression'>;
  readonly signal?: AbortSignal;
}

/** What a run of blocks of the source is. */
export type RunKind = 'data' | 'zeros' | 'unreadable';

export interface KindRun extends BlockRun {
  readonly kind: RunKind;
}

const PART_LENGTH = 1024 * 1024;
/** With fewer, who waits for the oldest part has often none to digest meanwhile. */
const PARTS_PER_THREAD = 3;
/** One is filled, one is given to the caller. */
const SLOTS_BESIDES = 2;

/** Reads images, one after another. */
export class BlockScan {
  readonly options: BlockScanOptions;
  readonly #ring: SegmentRing;
  readonly #pool: JobPool;
  readonly #partLength: number;
  /** Parts under way at a time. */
  readonly #mostAhead: number;
  readonly #digest: BlockDigest;
  readonly #zeros: ZeroDigests;

  constructor(options: BlockScanOptions) {
    const { blockSize, digest, threadCount, heldPortions = 1 } = options;
    this.options = options;
    this.#partLength = Math.max(1, Math.floor(PART_LENGTH / blockSize)) * blockSize;
    this.#mostAhead = PARTS_PER_THREAD * (threadCount + 1);
    this.#digest = createBlockDigest(digest);
    this.#zeros = new ZeroDigests(this.#digest, blockSize);
    this.#ring = new SegmentRing({
      reservedSize: 0,
      slotSize: this.#partLength,
      slotCount: this.#mostAhead + SLOTS_BESIDES + heldPortions,
      copy: copyBytes,
    });
    const setup = { ...options.setup, memory: this.#ring.memory, blockDigest: digest };
    this.#pool = openJobPool(setup, threadCount);
  }

  /** For jobs over the bytes of portions, which lie in its memory. */
  get pool(): JobPool {
    return this.#pool;
  }

  /** In the caller's thread. */
  get digest(): BlockDigest {
    return this.#digest;
  }

  /**
   * The image in order. The caller releases every portion, and holds no more of them than it has said when it
   * takes the next.
   * @throws PipelineError `ABORTED`, `SOURCE_CHANGED`, `IO`
   */
  async *scan(source: ImageSource): AsyncGenerator<BlockPortion> {
    const { blockSize, signal } = this.options;
    if ((source.size ?? Number.POSITIVE_INFINITY) >= WORTH_THREADS) this.#pool.start();
    const layout = { length: this.#partLength, blockSize };
    const parts = source.parts(this.#ring, layout);
    yield* inOrder(parts, (part) => this.#portionOf(part), { most: this.#mostAhead, signal });
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #portionOf(part: ImagePart): Promise<BlockPortion> {
    const { blockSize, skipsUnreadable = false } = this.options;
    const first = part.start / blockSize;
    if (part.kind === 'zeros') return new BlockPortion(this.#zeros, { blockSize, first, part });
    const { address, length, from } = part;
    const release = () => this.#ring.release(address);
    try {
      const input = { address, length, blockSize, skipsUnreadable, ...(from ? { from } : {}) };
      const { digests, kinds } = await this.#pool.run('digestBlocks', input);
      const bytes = this.#ring.view(address, length);
      const data = { bytes, digests, kinds, release };
      return new BlockPortion(this.#zeros, { blockSize, first, part, data });
    } catch (error) {
      release();
      throw error;
    }
  }
}

interface PortionParts {
  readonly blockSize: number;
  readonly first: number;
  readonly part: Pick<DataPart, 'start' | 'length'>;
  readonly data?: {
    readonly bytes: Uint8Array;
    readonly digests: Uint8Array;
    readonly kinds: Uint8Array;
    readonly release: () => void;
  };
}

/** Some blocks of an image, one behind the other. */
export class BlockPortion {
  /** Number of the first block. */
  readonly first: number;
  readonly count: number;
  /** Offset in the image, in bytes, and how many there are. */
  readonly start: number;
  readonly length: number;
  /** False for a hole: {@link bytesOf} gives nothing then. */
  readonly hasBytes: boolean;
  readonly #blockSize: number;
  readonly #parts: PortionParts;
  readonly #zeros: ZeroDigests;
  #digestsOfZeros: Uint8Array | undefined;
  #isReleased = false;

  constructor(zeros: ZeroDigests, parts: PortionParts) {
    const { blockSize, first, part, data } = parts;
    this.#zeros = zeros;
    this.#parts = parts;
    this.#blockSize = blockSize;
    this.first = first;
    this.start = part.start;
    this.length = part.length;
    this.count = Math.ceil(part.length / blockSize);
    this.hasBytes = data !== undefined;
  }

  /** The bytes of a run; valid until the portion is released. @param run within the portion */
  bytesOf({ first, count }: BlockRun): Uint8Array {
    const start = (first - this.first) * this.#blockSize;
    return this.#parts.data?.bytes.subarray(start, start + count * this.#blockSize) ?? EMPTY;
  }

  /** The digests of a run, 32 bytes each; zero bytes for what could not be read. */
  digestsOf({ first, count }: BlockRun): Uint8Array {
    const { data } = this.#parts;
    if (data === undefined) return this.#zeroDigestsOf(first, count);
    const start = (first - this.first) * DIGEST_LENGTH;
    return data.digests.subarray(start, start + count * DIGEST_LENGTH);
  }

  /** The blocks by what they are. */
  runs(): Generator<KindRun> {
    return this.#runs(() => true);
  }

  /**
   * The blocks that `known` does not have in their place, by what they are. What could not be read
   * counts as changed.
   */
  changedRuns(known: BlockTable): Generator<KindRun> {
    const digests = this.digestsOf(this);
    return this.#runs((i) => !known.has(i, digests, (i - this.first) * DIGEST_LENGTH));
  }

  /** Gives the memory back; further calls do nothing. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#parts.data?.release();
  }

  *#runs(isWanted: (block: number) => boolean): Generator<KindRun> {
    let [first, count, kind] = [0, 0, 'data' as RunKind];
    for (let i = this.first; i < this.first + this.count; i++) {
      if (!isWanted(i)) continue;
      const kindHere = this.#kindOf(i);
      if (count > 0 && kind === kindHere && first + count === i) {
        count += 1;
        continue;
      }
      if (count > 0) yield { first, count, kind };
      [first, count, kind] = [i, 1, kindHere];
    }
    if (count > 0) yield { first, count, kind };
  }

  #kindOf(block: number): RunKind {
    const kind = this.#parts.data?.kinds[block - this.first] ?? BLOCK_KIND.zeros;
    if (kind === BLOCK_KIND.unreadable) return 'unreadable';
    return kind === BLOCK_KIND.zeros ? 'zeros' : 'data';
  }

  #zeroDigestsOf(first: number, count: number): Uint8Array {
    this.#digestsOfZeros ??= this.#zeros.of(this.length);
    const start = (first - this.first) * DIGEST_LENGTH;
    return this.#digestsOfZeros.subarray(start, start + count * DIGEST_LENGTH);
  }
}

const EMPTY = new Uint8Array(0);
