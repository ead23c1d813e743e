/**
 * Where blocks of an image go whose destination is a store: those that the store does not have are
 * compressed on all cores and put into a pack (spec/images.md, "Version chains"). Used by put and sync
 * with a store.
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { chunkIdFromBytes, type DigestName } from '../../../formats/chunk-id.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import type { VersionRun } from '../../../formats/version.ts';
import type { ManagedChunkStore } from '../../../store/chunk-store.ts';
import { PackFolder } from '../../../store/pack-folder.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { type LocalStoreDescription, openLocalStore } from '../../local-store.node.ts';
import { hasLooseChunks } from '../../maintain/store-folder.node.ts';
import type { JobPool } from '../../work/jobs.node.ts';
import type { SinkResult } from '../block-sink.ts';
import { PackWriter, type WrittenPacks } from './pack-writer.node.ts';

export interface PackSinkOptions {
  readonly store: LocalStoreDescription;
  readonly digest: DigestName;
  /**
   * What the version before has; changed by the sink. As long as the image is, if that is known: else no
   * short block comes without its bytes.
   */
  readonly known: BlockTable;
  /** Of the scan whose bytes are written: they lie in its memory, and are gone afterwards. */
  readonly pool: JobPool;
}

export interface PackSinkResult extends SinkResult {
  /** Blocks that differ from what was known, in order. */
  readonly runs: readonly VersionRun[];
  /** Of those, in bytes. */
  readonly changedBytes: number;
  readonly packs: WrittenPacks;
}

const NO_LENGTHS = new Uint32Array(0);
/** Blocks of a job. */
const JOB_BLOCKS = 64;

/** Blocks that are to be in the store. */
export interface StoredRun extends BlockRun {
  /** 32 bytes for each block. */
  readonly digests: Uint8Array;
  /** In the memory of the pool; undefined if all are zeros. */
  readonly bytes: Uint8Array | undefined;
}

/** A block that the store does not have. */
interface NewBlock {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/** What was begun with some runs of blocks. */
export interface BegunRuns {
  readonly runs: readonly StoredRun[];
  readonly blocks: readonly NewBlock[];
  /** Bytes of the stored form of each of these blocks, which has taken the place of the block. */
  readonly storedLengths: Uint32Array;
}

export class PackSink {
  /** What is known of the image; {@link begin} keeps it true. */
  readonly known: BlockTable;
  readonly #pool: JobPool;
  readonly #writer: PackWriter;
  readonly #packs: PackFolder;
  /** Chunks that have files of their own, if there are any. */
  readonly #loose: ManagedChunkStore | undefined;
  readonly #digest: DigestName;
  readonly #runs: VersionRun[] = [];
  /** Blocks that were begun and are not in a pack yet. */
  readonly #begun = new Set<string>();
  #changedBytes = 0;
  #holeBytes = 0;

  constructor({ store, digest, known, pool }: PackSinkOptions) {
    this.known = known;
    this.#pool = pool;
    this.#digest = digest;
    this.#writer = new PackWriter({ store: store.folder, digest, sync: store.sync });
    this.#packs = new PackFolder(store.folder);
    this.#loose = hasLooseChunks(store.folder) ? openLocalStore(store) : undefined;
  }

  /**
   * Takes runs of blocks, all behind those of the calls before, and begins to compress what the store
   * does not have. Not to be waited for before the next call.
   */
  begin(runs: readonly StoredRun[]): BegunRuns | Promise<BegunRuns> {
    const { known } = this;
    for (const run of runs) {
      const end = run.first + run.count;
      if (end > known.count) known.resize(end * known.blockSize);
      this.#note(run);
      known.set(run.first, run.digests);
    }
    const hasBytes = runs.some(({ bytes }) => bytes !== undefined);
    return hasBytes ? this.#compress(runs) : { runs, blocks: [], storedLengths: NO_LENGTHS };
  }

  /** Puts blocks into the pack, whose memory is free afterwards; in the order in which they were begun. */
  async write({ runs, blocks, storedLengths }: BegunRuns): Promise<void> {
    for (const run of runs) if (run.bytes === undefined) await this.#writeZeros(run);
    for (const [i, { id, bytes }] of blocks.entries()) {
      await this.#add(id, bytes.subarray(0, storedLengths[i]), bytes.length);
      this.#begun.delete(keyOf(id));
    }
  }

  async finish(size: number): Promise<PackSinkResult> {
    cut(this.known, size);
    const packs = await this.#writer.finish();
    const root = rootOfTable(createBlockDigest(this.#digest), this.known);
    const { bytes: writtenBytes } = packs;
    const [runs, changedBytes, holeBytes] = [this.#runs, this.#changedBytes, this.#holeBytes];
    await this.abandon();
    return { root, writtenBytes, holeBytes, runs, changedBytes, packs };
  }

  async abandon(): Promise<void> {
    this.#writer.discard();
    await this.#packs.close();
    await this.#loose?.close();
  }

  #note({ first, count, digests, bytes }: StoredRun): void {
    const isZeros = bytes === undefined;
    const { blockSize } = this.known;
    for (let i = 0; i < count; i++) {
      if (!this.known.has(first + i, digests, i * DIGEST_LENGTH)) this.#changedBytes += blockSize;
    }
    if (isZeros) this.#holeBytes += count * blockSize;
    const last = this.#runs.at(-1);
    if (last?.isZeros === isZeros && last.first + last.count === first) {
      this.#runs[this.#runs.length - 1] = { ...last, count: last.count + count };
    } else this.#runs.push({ first, count, isZeros });
  }

  async #compress(runs: readonly StoredRun[]): Promise<BegunRuns> {
    const blocks: NewBlock[] = [];
    for (const run of runs) await this.#addNewBlocks(run, blocks);
    const storedLengths = new Uint32Array(blocks.length);
    const jobs: Promise<void>[] = [];
    for (let first = 0; first < blocks.length; first += JOB_BLOCKS) {
      const part = blocks.slice(first, first + JOB_BLOCKS);
      const addresses = part.map(({ bytes }) => bytes.byteOffset);
      const lengths = part.map(({ bytes }) => bytes.length);
      const job = this.#pool.run('encodeBlocks', { addresses, lengths });
      jobs.push(job.then((stored) => storedLengths.set(stored, first)));
    }
    // No job works on memory that others have got meanwhile.
    const ended = await Promise.allSettled(jobs);
    for (const job of ended) if (job.status === 'rejected') throw job.reason;
    return { runs, blocks, storedLengths };
  }

  async #addNewBlocks({ count, digests, bytes }: StoredRun, blocks: NewBlock[]): Promise<void> {
    if (bytes === undefined) return;
    const { blockSize } = this.known;
    for (let i = 0; i < count; i++) {
      const id = digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
      if (this.#isPacked(id) || (await this.#isLoose(id))) continue;
      const key = keyOf(id);
      if (this.#begun.has(key)) continue;
      this.#begun.add(key);
      blocks.push({ id, bytes: bytes.subarray(i * blockSize, (i + 1) * blockSize) });
    }
  }

  /** All blocks of zeros are equal, but perhaps the last one. */
  async #writeZeros({ first, count, digests }: StoredRun): Promise<void> {
    for (const i of count === 1 ? [0] : [0, count - 1]) {
      const id = digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
      if (this.#isPacked(id) || (await this.#isLoose(id))) continue;
      const length = this.known.sizeOf(first + i);
      await this.#add(id, new Uint8Array(length), length);
    }
  }

  async #add(id: Uint8Array, stored: Uint8Array, plainLength: number): Promise<void> {
    if (await this.#writer.add(id, 0, stored, plainLength)) this.#packs.refresh();
  }

  #isPacked(id: Uint8Array): boolean {
    return this.#writer.has(id) || this.#packs.hasBytes(id);
  }

  #isLoose(id: Uint8Array): boolean | Promise<boolean> {
    return this.#loose?.has(chunkIdFromBytes(id)) ?? false;
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
}

/** Makes a table as long as the image is, whose last block is known already. */
function cut(table: BlockTable, size: number): void {
  if (table.size === size) return;
  const last = Math.floor(size / table.blockSize);
  const digest =
    last < table.count && size % table.blockSize > 0 ? table.digests(last, 1).slice() : undefined;
  table.resize(size);
  if (digest !== undefined) table.set(last, digest);
}
