/**
 * The writable layer of a block export: what was written lies in a file of its own, everything else comes
 * from the base, which never changes. Used by serve-nbd and mkdev (`--cow`). What survives a crash:
 * spec/formats/overlay.md.
 */
import {
  BLOCK_LENGTH,
  BLOCKS_PER_PAGE,
  FROM_BASE,
  FROM_OVERLAY,
  ZEROS,
} from '../../../formats/overlay.ts';
import type { SignalOption } from '../../../store/backend.ts';
import { PipelineError } from '../../errors.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  copyAndRelease,
  freeBytes,
  withinBlob,
} from '../../read/blob-reader.ts';
import { unlessAborted } from '../../read/waiting.ts';
import { JointFlush } from '../joint-flush.ts';
import type { BlockExport, BlockWriter } from './block-export.ts';
import type { BlockMap } from './overlay-map.ts';
import { type RangePart, type ReadOrigins, readParts } from './overlay-read.ts';
import { MapCommit, type OverlayPlace, PageReserve } from './overlay-store.ts';
import { RangeLocks } from './range-locks.ts';

/** Extents that are joined, and blocks that are looked at, for one answer. */
const MAX_JOINED = 256;
const MAX_EXTENT_BLOCKS = 256 * BLOCKS_PER_PAGE;

const ORIGINS = { [FROM_BASE]: 'base', [ZEROS]: 'zeros', [FROM_OVERLAY]: 'overlay' } as const;

/** A range as whole blocks and what is left at its ends. */
interface BlockSplit {
  /** Parts of one block each. */
  readonly edges: readonly BlobRange[];
  /** Whole blocks, in bytes. */
  readonly whole: BlobRange;
}

/** @param map of the overlay at `place`; both belong to the overlay from now on, as the base does */
export function createOverlay(base: BlobReader, place: OverlayPlace, map: BlockMap): BlockExport {
  return new Overlay(base, place, map);
}

class Overlay implements BlockExport {
  readonly label: string;
  readonly size: number;
  readonly writer: BlockWriter;
  readonly #base: BlobReader;
  readonly #place: OverlayPlace;
  readonly #map: BlockMap;
  readonly #commit: MapCommit;
  readonly #reserve: PageReserve;
  readonly #flush: JointFlush;
  readonly #locks = new RangeLocks();
  readonly #origins: ReadOrigins;
  readonly #reads = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(base: BlobReader, place: OverlayPlace, map: BlockMap) {
    this.label = base.label;
    this.size = base.size;
    this.#base = base;
    this.#place = place;
    this.#map = map;
    this.#commit = new MapCommit(place, map);
    this.#reserve = new PageReserve(place, map);
    this.#flush = new JointFlush(() => this.#commit.run());
    this.#origins = {
      base: (range, options) => base.read(range, options),
      overlay: (range) => this.#readFile(range),
    };
    this.writer = {
      write: (offset, bytes) => this.#change({ offset, length: bytes.length }, false, bytes),
      zero: (range, options) => this.#change(range, options?.keep === true),
      flush: (options) => this.#flushed(options),
    };
  }

  read(range: BlobRange, options?: SignalOption): BlobBytes | Promise<BlobBytes> {
    this.#checkOpen();
    return readParts(this.#parts(withinBlob(range, this.size)), this.#origins, options);
  }

  extentAt(offset: number): BlobExtent {
    const limit = offset + MAX_EXTENT_BLOCKS * BLOCK_LENGTH;
    const first = this.#extentAt(offset, limit);
    let { end } = first;
    for (let i = 0; i < MAX_JOINED && end < Math.min(this.size, limit); i++) {
      const next = this.#extentAt(end, limit);
      if (next.isZero !== first.isZero) break;
      end = next.end;
    }
    return { end, isZero: first.isZero };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      // Ends writes that wait for the base, too.
      await this.#base.close();
    } finally {
      await this.#locks.idle();
      await Promise.all(this.#reads);
      await this.#flush.run().catch(() => {});
      try {
        await this.#commit.finish();
      } finally {
        this.#place.file.close();
      }
    }
  }

  #checkOpen(): void {
    if (this.#closed === undefined) return;
    throw new PipelineError('ABORTED', { subject: this.label, reason: 'is closed' });
  }

  async #flushed({ signal }: SignalOption = {}): Promise<void> {
    this.#checkOpen();
    await unlessAborted(this.#flush.run(), signal);
  }

  #parts({ offset, length }: BlobRange): readonly RangePart[] {
    const end = offset + length;
    const endBlock = Math.ceil(end / BLOCK_LENGTH);
    const parts: RangePart[] = [];
    for (let at = offset; at < end; ) {
      const run = this.#map.runAt(Math.floor(at / BLOCK_LENGTH), endBlock);
      const stop = Math.min(end, run.end * BLOCK_LENGTH);
      parts.push({ origin: ORIGINS[run.state], offset: at, length: stop - at });
      at = stop;
    }
    return parts;
  }

  #extentAt(offset: number, limit: number): BlobExtent {
    const endBlock = Math.ceil(Math.min(this.size, limit) / BLOCK_LENGTH);
    const run = this.#map.runAt(Math.floor(offset / BLOCK_LENGTH), endBlock);
    const end = Math.min(this.size, run.end * BLOCK_LENGTH);
    if (run.state !== FROM_BASE) return { end, isZero: run.state === ZEROS };
    const below = this.#base.extentAt(offset);
    return { end: Math.min(end, below.end), isZero: below.isZero };
  }

  async #readFile({ offset, length }: BlobRange): Promise<BlobBytes> {
    const bytes = new Uint8Array(length);
    const reading = this.#place.file.read(this.#place.layout.dataOffset + offset, bytes);
    const ended = reading.catch(() => {});
    this.#reads.add(ended);
    try {
      await reading;
    } finally {
      this.#reads.delete(ended);
    }
    return freeBytes(bytes);
  }

  /** Writes `bytes` to a range; without any, makes it zeros. */
  async #change(range: BlobRange, keep: boolean, bytes?: Uint8Array): Promise<void> {
    this.#checkOpen();
    this.#commit.check();
    const { offset, length } = range;
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new PipelineError('USAGE', { subject: this.label, reason: 'write behind the end' });
    }
    if (length === 0) return;
    const first = Math.floor(offset / BLOCK_LENGTH);
    const end = Math.ceil((offset + length) / BLOCK_LENGTH);
    await this.#locks.run(first, end, async () => {
      const split = this.#split(range);
      // First of all what can fail without anything having changed.
      const edges = await this.#composeEdges(split.edges, offset, bytes);
      const [firstPage, lastPage] = [first, end - 1].map((b) => Math.floor(b / BLOCKS_PER_PAGE));
      await this.#reserve.reserve(firstPage, lastPage);
      for (const edge of edges) await this.#store(edge.offset, edge.bytes);
      if (split.whole.length === 0) return;
      const from = split.whole.offset - offset;
      if (bytes === undefined) await this.#zeroWhole(split.whole, keep);
      else await this.#store(split.whole.offset, bytes.subarray(from, from + split.whole.length));
    });
  }

  /** The last block of the image may be a short one. */
  #split({ offset, length }: BlobRange): BlockSplit {
    const end = offset + length;
    const wholeStart = Math.ceil(offset / BLOCK_LENGTH) * BLOCK_LENGTH;
    const wholeEnd = end === this.size ? end : Math.floor(end / BLOCK_LENGTH) * BLOCK_LENGTH;
    if (wholeStart > wholeEnd) {
      return { edges: [{ offset, length }], whole: { offset, length: 0 } };
    }
    const edges = [
      { offset, length: wholeStart - offset },
      { offset: wholeEnd, length: end - wholeEnd },
    ];
    return {
      edges: edges.filter((edge) => edge.length > 0),
      whole: { offset: wholeStart, length: wholeEnd - wholeStart },
    };
  }

  /** What is to be written for parts of blocks: blocks that were not in the overlay become whole. */
  async #composeEdges(
    edges: readonly BlobRange[],
    start: number,
    bytes: Uint8Array | undefined,
  ): Promise<readonly { readonly offset: number; readonly bytes: Uint8Array }[]> {
    const composed = edges.map(async ({ offset, length }) => {
      const change =
        bytes === undefined
          ? new Uint8Array(length)
          : bytes.subarray(offset - start, offset - start + length);
      const block = Math.floor(offset / BLOCK_LENGTH);
      const state = this.#map.stateOf(block);
      if (state === FROM_OVERLAY) return [{ offset, bytes: change }];
      if (state === ZEROS && bytes === undefined) return [];
      const whole = await this.#blockBelow(block);
      whole.set(change, offset - block * BLOCK_LENGTH);
      return [{ offset: block * BLOCK_LENGTH, bytes: whole }];
    });
    const results = await Promise.allSettled(composed);
    return results.flatMap((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  }

  /** A copy of a block that is not in the overlay. */
  async #blockBelow(block: number): Promise<Uint8Array> {
    const offset = block * BLOCK_LENGTH;
    const length = Math.min(BLOCK_LENGTH, this.size - offset);
    if (this.#map.stateOf(block) === ZEROS) return new Uint8Array(length);
    return copyAndRelease(await this.#base.read({ offset, length }));
  }

  async #store(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#place.file.write(this.#place.layout.dataOffset + offset, bytes);
    this.#fill({ offset, length: bytes.length }, FROM_OVERLAY);
  }

  async #zeroWhole(range: BlobRange, keep: boolean): Promise<void> {
    const { file, layout } = this.#place;
    const at = layout.dataOffset + range.offset;
    const needsRelease = !keep && this.#hasOverlaid(range);
    if (keep) await file.reserve(at, range.length);
    this.#fill(range, ZEROS);
    // Harmless before the map is stored: where it says that they are in the overlay, they are zeros there.
    if (needsRelease) await file.release(at, range.length);
  }

  #hasOverlaid(range: BlobRange): boolean {
    return this.#parts(range).some(({ origin }) => origin === 'overlay');
  }

  /** @param range blocks, or parts of blocks that are in this state already */
  #fill({ offset, length }: BlobRange, state: typeof ZEROS | typeof FROM_OVERLAY): void {
    const first = Math.floor(offset / BLOCK_LENGTH);
    const end = Math.ceil((offset + length) / BLOCK_LENGTH);
    const run = this.#map.runAt(first, end);
    if (run.state !== state || run.end < end) this.#map.fill(first, end, state);
  }
}
