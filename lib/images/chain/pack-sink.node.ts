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
import type { BlockSink, SinkResult } from '../block-sink.ts';
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

/** Blocks of a job. */
const JOB_BLOCKS = 64;

/** A block that is to be stored. */
interface NewBlock {
  /** Of its digest, and of its bytes, in what was given. */
  readonly at: number;
  readonly start: number;
  readonly length: number;
}

export class PackSink implements BlockSink {
  readonly known: BlockTable;
  readonly #pool: JobPool;
  readonly #writer: PackWriter;
  readonly #packs: PackFolder;
  /** Chunks that have files of their own, if there are any. */
  readonly #loose: ManagedChunkStore | undefined;
  readonly #digest: DigestName;
  readonly #runs: VersionRun[] = [];
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

  async write(run: BlockRun, digests: Uint8Array, bytes: Uint8Array | undefined): Promise<void> {
    const { known } = this;
    const end = run.first + run.count;
    if (end > known.count) known.resize(end * known.blockSize);
    known.set(run.first, digests);
    this.#note(run, bytes === undefined);
    if (bytes === undefined) await this.#writeZeros(run, digests);
    else await this.#store(await this.#newBlocks(run, digests, bytes), { digests, bytes });
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

  #note({ first, count }: BlockRun, isZeros: boolean): void {
    const bytes = count * this.known.blockSize;
    this.#changedBytes += bytes;
    if (isZeros) this.#holeBytes += bytes;
    const last = this.#runs.at(-1);
    if (last?.isZeros === isZeros && last.first + last.count === first) {
      this.#runs[this.#runs.length - 1] = { ...last, count: last.count + count };
    } else this.#runs.push({ first, count, isZeros });
  }

  /** All blocks of zeros are equal, but perhaps the last one. */
  async #writeZeros({ first, count }: BlockRun, digests: Uint8Array): Promise<void> {
    for (const i of count === 1 ? [0] : [0, count - 1]) {
      const id = digests.subarray(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH);
      const length = this.known.sizeOf(first + i);
      if (await this.#isThere(id)) continue;
      await this.#writer.add(id, 0, new Uint8Array(length), length);
    }
  }

  async #newBlocks(
    { count }: BlockRun,
    digests: Uint8Array,
    bytes: Uint8Array,
  ): Promise<readonly NewBlock[]> {
    const { blockSize } = this.known;
    const blocks: NewBlock[] = [];
    const here = new Set<string>();
    for (let i = 0; i < count; i++) {
      const at = i * DIGEST_LENGTH;
      const id = digests.subarray(at, at + DIGEST_LENGTH);
      if (this.#isPacked(id) || (await this.#isLoose(id))) continue;
      const key = Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
      if (here.has(key)) continue;
      here.add(key);
      const start = i * blockSize;
      blocks.push({ at, start, length: Math.min(blockSize, bytes.length - start) });
    }
    return blocks;
  }

  async #store(
    blocks: readonly NewBlock[],
    { digests, bytes }: { readonly digests: Uint8Array; readonly bytes: Uint8Array },
  ): Promise<void> {
    const jobs: Promise<void>[] = [];
    let previous: Promise<void> = Promise.resolve();
    for (let first = 0; first < blocks.length; first += JOB_BLOCKS) {
      const part = blocks.slice(first, first + JOB_BLOCKS);
      const addresses = part.map(({ start }) => bytes.byteOffset + start);
      const lengths = part.map(({ length }) => length);
      const encoded = this.#pool.run('encodeBlocks', { addresses, lengths });
      const before = previous;
      previous = encoded.then(async (storedLengths) => {
        await before;
        for (const [i, { at, start, length }] of part.entries()) {
          const stored = bytes.subarray(start, start + storedLengths[i]);
          if (await this.#writer.add(digests, at, stored, length)) this.#packs.refresh();
        }
      });
      jobs.push(previous);
    }
    const ended = await Promise.allSettled(jobs);
    for (const job of ended) if (job.status === 'rejected') throw job.reason;
  }

  async #isThere(id: Uint8Array): Promise<boolean> {
    return this.#isPacked(id) || (await this.#isLoose(id));
  }

  #isPacked(id: Uint8Array): boolean {
    return this.#writer.has(id) || this.#packs.hasBytes(id);
  }

  #isLoose(id: Uint8Array): boolean | Promise<boolean> {
    return this.#loose?.has(chunkIdFromBytes(id)) ?? false;
  }
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
