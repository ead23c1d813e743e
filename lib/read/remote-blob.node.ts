/**
 * An archive or blob on another machine as a blob that can be read anywhere: blocks of it are kept in
 * memory, several requests are under way, and what is read in order is fetched ahead.
 */
import { setMaxListeners } from 'node:events';
import type { SignalOption } from '../../store/backend.ts';
import type { RemoteFile } from '../../store/remote-file.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  freeBytes,
  USUAL_CACHE_SIZE,
  withinBlob,
} from './blob-reader.ts';
import { ReadAhead } from './read-ahead.ts';
import { BLOCK_LENGTH, type Block, type BlockRequest, RemoteBlocks } from './remote-blocks.ts';
import { unlessAborted } from './waiting.ts';

export interface RemoteBlobOptions extends SignalOption {
  /** Memory for what was read, in bytes. */
  readonly cacheSize?: number;
  /** `false`: no blocks are fetched that were not asked for. */
  readonly readAhead?: boolean;
}

/**
 * @param file stays open
 * @param options the signal ends the opening
 * @throws CasError `UNSUPPORTED` if it can only be read from the beginning to the end
 */
export async function openRemoteBlob(
  file: RemoteFile,
  { signal, ...options }: RemoteBlobOptions = {},
): Promise<BlobReader> {
  const { size, hasRanges } = await file.stat(signal ? { signal } : {});
  if (size === undefined || !hasRanges) {
    const reason = 'can only be read from the beginning to the end';
    throw new PipelineError('UNSUPPORTED', { subject: file.label, reason });
  }
  return new RemoteBlob(file, size, options);
}

class RemoteBlob implements BlobReader {
  readonly label: string;
  readonly size: number;
  readonly #blocks: RemoteBlocks;
  readonly #readAhead: ReadAhead | undefined;
  readonly #closing = new AbortController();

  constructor(file: RemoteFile, size: number, options: Omit<RemoteBlobOptions, 'signal'>) {
    const { cacheSize = USUAL_CACHE_SIZE, readAhead = true } = options;
    this.label = file.label;
    this.size = size;
    this.#blocks = new RemoteBlocks(file, { size, cacheSize });
    if (readAhead) this.#readAhead = new ReadAhead({ capacity: cacheSize / 2 });
    setMaxListeners(0, this.#closing.signal);
  }

  read(range: BlobRange, { signal }: SignalOption = {}): BlobBytes | Promise<BlobBytes> {
    throwIfAborted(signal);
    throwIfAborted(this.#closing.signal);
    const inside = withinBlob(range, this.size);
    if (inside.length === 0) return freeBytes();
    const blocks = this.#blocks.take(inside);
    const ahead = this.#readAhead?.advance(inside);
    if (ahead !== undefined) this.#blocks.readAhead(withinBlob(ahead, this.size));
    if (blocks.every(isHere)) return cut(blocks, inside);
    return this.#whenThere(blocks, inside, signal);
  }

  extentAt(_offset: number): BlobExtent {
    return { end: this.size, isZero: false };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#blocks.close();
  }

  async #whenThere(
    blocks: readonly Block[],
    range: BlobRange,
    signal: AbortSignal | undefined,
  ): Promise<BlobBytes> {
    const requests = [...new Set(blocks.filter(isRequest))];
    const hasOlder = requests.some(({ waiterCount, isAhead }) => waiterCount > 0 || isAhead);
    try {
      return cut(await this.#arrivals(blocks, range, signal), range);
    } catch (error) {
      // What had begun before may have failed for a reason that has passed.
      if (!hasOlder || signal?.aborted || this.#closing.signal.aborted) throw error;
    }
    return cut(await this.#arrivals(this.#blocks.take(range), range, signal), range);
  }

  async #arrivals(
    blocks: readonly Block[],
    range: BlobRange,
    signal: AbortSignal | undefined,
  ): Promise<readonly Uint8Array[]> {
    const requests = new Set(blocks.filter(isRequest));
    for (const request of requests) this.#blocks.join(request);
    const first = Math.floor(range.offset / BLOCK_LENGTH);
    const arrivals = blocks.map((block, i) =>
      isRequest(block) ? arrival(block, first + i) : block,
    );
    try {
      return await unlessAborted(Promise.all(arrivals), signal, this.#closing.signal);
    } finally {
      for (const request of requests) this.#blocks.leave(request);
    }
  }
}

function isRequest(block: Block): block is BlockRequest {
  return !(block instanceof Uint8Array);
}

function isHere(block: Block): block is Uint8Array {
  return !isRequest(block);
}

async function arrival(request: BlockRequest, number: number): Promise<Uint8Array> {
  return (await request.arrived)[number - request.first];
}

/** @param blocks all in which bytes of the range lie */
function cut(blocks: readonly Uint8Array[], { offset, length }: BlobRange): BlobBytes {
  const start = offset % BLOCK_LENGTH;
  const last = blocks.length - 1;
  const pieces = blocks.map((block, i) => {
    const end = i === last ? start + length - i * BLOCK_LENGTH : block.length;
    return block.subarray(i === 0 ? start : 0, end);
  });
  return freeBytes(...pieces);
}
