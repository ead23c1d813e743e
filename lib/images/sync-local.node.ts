/**
 * Brings a destination to the content of an image on the same machine (spec/images.md, "Sync"): the
 * image is read once, what the destination lacks is written, hash and bytes from the same memory.
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../formats/block-digest.ts';
import type { BlockRun } from '../../formats/block-table.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { BlockSink } from './block-sink.ts';
import type { ImageSource } from './source/image-source.node.ts';
import type { BlockPortion, BlockScan, KindRun } from './source/scan-blocks.node.ts';

export interface SyncImageOptions {
  /** Only counts, and writes nothing; what is known becomes what would be. */
  readonly isDryRun?: boolean;
  /** Told of blocks that were written or, in a dry run, would be. */
  readonly onChange?: (run: BlockRun) => void;
  /** Told of blocks that cannot be read. Unless the scan skips them there are none. */
  readonly onUnreadable?: (run: BlockRun) => void;
  /** Told when a part of the source is not needed any more. */
  readonly onPassed?: (offset: number, length: number) => void;
  readonly onProgress?: ProgressSink | undefined;
}

export interface SyncedImage {
  /** Bytes of the image. */
  readonly size: number;
  readonly changedBlocks: number;
  /** Bytes of them. */
  readonly changedBytes: number;
  /** Of these, bytes that are zeros. */
  readonly zeroBytes: number;
  /** Bytes that were read of the source; holes are none. */
  readonly readBytes: number;
  /** Bytes that could not be read. */
  readonly unreadableBytes: number;
}

/** Compares and writes; the sink is neither finished nor abandoned. @throws what reading and writing throw */
export async function syncImage(
  source: ImageSource,
  scan: BlockScan,
  sink: BlockSink,
  options: SyncImageOptions = {},
): Promise<SyncedImage> {
  const work = new ImageSync(scan, sink, options);
  for await (const portion of scan.scan(source)) {
    try {
      await work.take(portion);
    } finally {
      portion.release();
    }
    options.onPassed?.(portion.start, portion.length);
    options.onProgress?.(progressOf('sync', portion.start + portion.length, source.size));
  }
  return work.counts;
}

class ImageSync {
  readonly counts = {
    size: 0,
    changedBlocks: 0,
    changedBytes: 0,
    zeroBytes: 0,
    readBytes: 0,
    unreadableBytes: 0,
  };
  readonly #blockSize: number;
  readonly #digest: BlockDigest;
  readonly #sink: BlockSink;
  readonly #options: SyncImageOptions;

  constructor({ options, digest }: BlockScan, sink: BlockSink, given: SyncImageOptions) {
    this.#blockSize = options.blockSize;
    this.#digest = digest;
    this.#sink = sink;
    this.#options = given;
  }

  async take(portion: BlockPortion): Promise<void> {
    const end = portion.start + portion.length;
    this.counts.size = end;
    if (portion.hasBytes) this.counts.readBytes += portion.length;
    for (const run of portion.changedRuns(this.#sink.known)) {
      const bytes = Math.min((run.first + run.count) * this.#blockSize, end);
      const length = bytes - run.first * this.#blockSize;
      if (run.kind === 'unreadable') await this.#skip(run, length);
      else await this.#write(portion, run, length);
    }
  }

  async #write(portion: BlockPortion, run: KindRun, length: number): Promise<void> {
    const isZeros = run.kind === 'zeros';
    this.counts.changedBlocks += run.count;
    this.counts.changedBytes += length;
    if (isZeros) this.counts.zeroBytes += length;
    this.#options.onChange?.(run);
    const digests = portion.digestsOf(run);
    if (this.#options.isDryRun === true) {
      const { known } = this.#sink;
      if (this.counts.size > known.size) known.resize(this.counts.size);
      known.set(run.first, digests);
      return;
    }
    await this.#sink.write(run, digests, isZeros ? undefined : portion.bytesOf(run));
  }

  /** What the destination has stays; where it has nothing yet, zeros stand in. */
  async #skip(run: BlockRun, length: number): Promise<void> {
    this.counts.unreadableBytes += length;
    this.#options.onUnreadable?.(run);
    if (this.#options.isDryRun === true) return;
    for (let i = 0; i < run.count; i++) {
      const block = run.first + i;
      const { known } = this.#sink;
      if (block < known.count && !known.isUnknown(block)) continue;
      const size = Math.min(this.#blockSize, length - i * this.#blockSize);
      const digest = new Uint8Array(DIGEST_LENGTH);
      this.#digest.write(new Uint8Array(size), digest, 0);
      await this.#sink.write({ first: block, count: 1 }, digest, undefined);
    }
  }
}
