/** `repair` of the library: an image gets back what its index says (spec/api.md, "repair"). */
import { closeSync, openSync, statSync } from 'node:fs';
import type { DigestName } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ByteRange } from '../compare/byte-ranges.ts';
import { differentChunks } from '../compare/different-chunks.node.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { openDestination } from '../images/destination/destination.node.ts';
import { differentBlocks } from '../images/different-blocks.node.ts';
import {
  type CopyReader,
  findGoodCopy,
  type GoodCopies,
  type LostChunk,
} from '../images/repair-chunks.node.ts';
import { BlockRunList } from '../images/run-list.ts';
import { beginOf, openImage } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { progressOf } from '../progress.ts';
import { openChunkSources } from '../stores/chunk-sources.node.ts';
import type { StoreDescription } from '../stores/store-description.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { unattended } from '../work/unattended.ts';
import { Compared } from './compared.node.ts';
import { openInput, readIndex } from './input.node.ts';
import { kindOfPath } from './kinds.ts';
import type { StoreOptions } from './options.ts';
import { describeStoresForReading, localPath, remotePlace } from './stores.node.ts';
import { openBlockIndex } from './verify-blocks.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface RepairOptions extends WorkOptions, StoreOptions {
  /** Path of the index; chunks of its stores are good copies, too. */
  readonly index: string;
  /** Path of the file or block device. */
  readonly target: string;
  /** Where good copies are: images of about the same content, blob indexes, stores. Asked first. */
  readonly from?: readonly string[];
  /** Write to a device that is mounted or held. */
  readonly forceDevice?: boolean;
  /** Told of each range, rising: whether it could be repaired. */
  readonly onRange?: (range: ByteRange, outcome: 'repaired' | 'lost') => void;
}

export interface RepairResult {
  /** Whether the target is now what the index says. */
  readonly isGood: boolean;
  readonly expectedSize: number;
  readonly targetSize: number;
  /** Bytes of chunks that were damaged and were written. */
  readonly repairedBytes: number;
  /** Bytes of chunks of which no good copy was found; they stay as they are. */
  readonly lostBytes: number;
}

/** Chunks that are fetched at a time. */
const AT_A_TIME = 16;

/**
 * Rewrites the chunks of a file or device that are not what the index says, and no others. Each is
 * compared with its digest before it is written.
 * @throws CasError `UNSAFE_TARGET` for a device in use, `TARGET_FULL` if one is too small, and what
 * reading and writing throw; chunks without a good copy are no failure but counted
 */
export async function repair(options: RepairOptions): Promise<RepairResult> {
  const table = await openTable(options);
  try {
    const lost = await findLost(table, options);
    return await new Repair(table, options).run(lost);
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  }
}

/** What of an index is needed here, whichever it is. */
interface ChunkTable {
  readonly digest: DigestName;
  readonly totalSize: number;
  chunk(i: number): LostChunk;
  /** Numbers of chunks that the target has not. */
  lost(): AsyncIterable<{ readonly first: number; readonly count: number }>;
}

async function openTable(options: RepairOptions): Promise<ChunkTable> {
  const blocks = openBlockIndex({ input: options.index });
  if (blocks === undefined) return tableOfIndex(await readOther(options), options);
  const { table, digest } = blocks;
  return {
    digest,
    totalSize: table.size,
    chunk: (i) => ({
      offset: i * table.blockSize,
      size: table.sizeOf(i),
      digest: table.digests(i, 1),
    }),
    async *lost() {
      const { threadCount = defaultThreadCount(), signal, onProgress } = options;
      const { blockSize } = table;
      const image = openImage(options.target);
      const work = { threadCount, ...(signal ? { signal } : {}) };
      const scan = new BlockScan({ blockSize, digest, skipsUnreadable: true, ...work });
      const isLonger = (image.size ?? 0) > table.size;
      const source = isLonger ? beginOf(image.source(), table.size) : image.source();
      try {
        yield* differentBlocks(table, source, scan, { size: 0 }, onProgress);
      } finally {
        await scan.close();
        image.close();
      }
    },
  };
}

async function readOther({ index, ...options }: RepairOptions): Promise<ChunkIndex> {
  const input = openInput({ ...options, input: index, kind: 'blob-index' });
  try {
    return await readIndex(input, options);
  } finally {
    input.close();
  }
}

function tableOfIndex(index: ChunkIndex, options: RepairOptions): ChunkTable {
  return {
    digest: index.digest,
    totalSize: index.totalSize,
    chunk: (i) => ({ offset: index.start(i), size: index.size(i), digest: index.idBytes(i) }),
    async *lost() {
      const { threadCount = defaultThreadCount(), signal, onProgress, target } = options;
      const image = openImage(target);
      const { descriptor = -1, label } = image;
      const work = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
      try {
        const found = differentChunks(index, { descriptor, label }, { threadCount, ...work });
        for await (const first of found) yield { first, count: 1 };
      } finally {
        image.close();
      }
    },
  };
}

async function findLost(table: ChunkTable, { target }: RepairOptions): Promise<BlockRunList> {
  const stats = statSync(localPath(target), { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFile() && !stats.isBlockDevice()) {
    const reason = 'only a file or block device can be repaired';
    throw new PipelineError('USAGE', { subject: target, step: 'repair', reason });
  }
  const lost = new BlockRunList();
  for await (const run of table.lost()) lost.add(run);
  return lost;
}

class Repair {
  readonly #table: ChunkTable;
  readonly #options: RepairOptions;
  readonly #opened: (() => Promise<void> | void)[] = [];
  #repairedBytes = 0;
  #lostBytes = 0;

  constructor(table: ChunkTable, options: RepairOptions) {
    this.#table = table;
    this.#options = options;
  }

  async run(lost: BlockRunList): Promise<RepairResult> {
    const { totalSize } = this.#table;
    const { target, forceDevice = false } = this.#options;
    const isDevice = statSync(localPath(target)).isBlockDevice();
    const policy = { sizePolicy: isDevice ? 'larger-ok' : 'resize', forceDevice } as const;
    const destination = openDestination(localPath(target), { size: totalSize, ...policy });
    this.#opened.push(() => destination.close());
    try {
      const sources = await this.#openSources();
      for await (const { chunk, bytes } of this.#copies(lost, sources)) {
        const range = { start: chunk.offset, end: chunk.offset + chunk.size };
        if (bytes === undefined) this.#lostBytes += chunk.size;
        else {
          await destination.write(bytes, chunk.offset);
          this.#repairedBytes += chunk.size;
        }
        this.#options.onRange?.(range, bytes === undefined ? 'lost' : 'repaired');
        this.#options.onProgress?.(progressOf('repair', range.end, totalSize));
      }
      const hasOtherSize = !isDevice && destination.size !== totalSize;
      if (hasOtherSize) destination.resize(totalSize);
      if (hasOtherSize || this.#repairedBytes > 0) await destination.sync();
      return {
        isGood: this.#lostBytes === 0,
        expectedSize: totalSize,
        targetSize: destination.size,
        repairedBytes: this.#repairedBytes,
        lostBytes: this.#lostBytes,
      };
    } finally {
      for (const close of this.#opened.reverse()) await close();
    }
  }

  /** Fetches some ahead, so that stores elsewhere are not waited for one by one. */
  async *#copies(lost: BlockRunList, sources: GoodCopies) {
    const ahead: Promise<{ chunk: LostChunk; bytes: Uint8Array | undefined }>[] = [];
    const fetch = async (i: number) => {
      const chunk = this.#table.chunk(i);
      return { chunk, bytes: await findGoodCopy(chunk, sources) };
    };
    for (const { first, count } of lost) {
      for (let i = first; i < first + count; i++) {
        throwIfAborted(this.#options.signal);
        ahead.push(unattended(fetch(i)));
        if (ahead.length >= AT_A_TIME) {
          const [oldest] = ahead.splice(0, 1);
          yield await oldest;
        }
      }
    }
    for (const fetched of ahead) yield await fetched;
  }

  async #openSources(): Promise<GoodCopies> {
    const { from = [], index, signal } = this.#options;
    const { digest } = this.#table;
    const described = describeStoresForReading(this.#options, index, digest);
    const stores: StoreDescription[] = [];
    const copies: CopyReader[] = [];
    for (const word of from) {
      if (isStore(word)) {
        const named = { ...this.#options, store: word, extraStores: [] };
        stores.push(...describeStoresForReading(named, undefined, digest).stores);
      } else copies.push(await this.#openCopy(word));
    }
    const all = openChunkSources([...stores, ...described.stores]);
    this.#opened.push(() => all.close());
    return { digest: createBlockDigest(digest), copies, stores: all, signal };
  }

  async #openCopy(word: string): Promise<CopyReader> {
    if (kindOfPath(word) === 'blob-index') {
      const { store, extraStores = [], ...places } = this.#options;
      const others = store === undefined ? extraStores : [store, ...extraStores];
      const compared = await Compared.open(
        { ...places, input: word, extraStores: others },
        this.#options,
      );
      this.#opened.push(() => compared.close());
      const source = compared.source();
      let last: Promise<unknown> = Promise.resolve();
      // It reads for one at a time.
      const read = (offset: number, length: number): Promise<Uint8Array> => {
        const bytes = last.then(() => readSome(source, offset, length));
        last = bytes.catch(() => {});
        return bytes;
      };
      return { label: word, read };
    }
    const descriptor = openCopyFile(localPath(word), word);
    this.#opened.push(() => closeSync(descriptor));
    return {
      label: word,
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        try {
          return bytes.subarray(0, readFully(descriptor, bytes, offset));
        } catch (error) {
          throw systemFailure('read', error, word);
        }
      },
    };
  }
}

/** Places elsewhere and folders hold chunks, unless the name says that it is an index. */
function isStore(word: string): boolean {
  if (kindOfPath(word) !== undefined) return false;
  if (remotePlace(word) !== undefined) return true;
  return statSync(localPath(word), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function openCopyFile(path: string, label: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemFailure('open', error, label);
  }
}

interface ByteReader {
  read(offset: number, end?: number): Promise<Uint8Array>;
}

async function readSome(source: ByteReader, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const piece = await source.read(offset + done, offset + length);
    if (piece.length === 0) break;
    const part = piece.subarray(0, length - done);
    bytes.set(part, done);
    done += part.length;
  }
  return bytes.subarray(0, done);
}
