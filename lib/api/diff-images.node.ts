/**
 * `diffImages` of the library: in which blocks two images differ, each a version of a chain, an index of
 * blocks, a file or a device (spec/api.md, "diffImages").
 */
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { BlockTable } from '../../formats/block-table.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import type { ByteRange } from '../compare/byte-ranges.ts';
import { joinedRanges } from '../compare/compare-blobs.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import type { ChainOptions } from '../images/chain/chain-store.node.ts';
import { blockIndexAt } from '../images/chain/index-at.node.ts';
import { readVersion } from '../images/chain/read-version.node.ts';
import { type OpenedImage, openImage, sourceOf } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { kindOfPath } from './kinds.ts';
import type { Input } from './options.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

/** A version of a chain, or an index (`.caibx`), file, device or stream. */
export type ComparedImage =
  | (ChainOptions & { readonly at: string })
  | { readonly input: Input; readonly label?: string };

export interface DiffImagesOptions extends WorkOptions {
  readonly before: ComparedImage;
  readonly after: ComparedImage;
  /** Told of each range of blocks that differ, rising; may return a promise to be waited for. */
  readonly onRange?: (range: ByteRange) => Promise<void> | undefined;
}

export interface DiffImagesResult {
  readonly isEqual: boolean;
  readonly beforeSize: number;
  readonly afterSize: number;
  readonly blockSize: number;
  readonly rangeCount: number;
  /** Bytes in these ranges; what only one of both has counts, too. */
  readonly differentBytes: number;
}

/** Blocks of an image, one behind the other. */
interface Part {
  readonly first: number;
  readonly digests: Uint8Array;
  /** Of the image so far, in bytes. */
  readonly end: number;
}

/** One of both images: opened, and read when it is asked for. */
interface Side {
  /** Undefined for an image, which can be cut into any blocks. */
  readonly format: BlockFormat | undefined;
  /** All of it, once. */
  readonly parts: (format: BlockFormat) => AsyncIterable<Part> | Iterable<Part>;
  readonly size: number | undefined;
  readonly close: () => void;
}

interface BlockFormat {
  readonly digest: DigestName;
  readonly blockSize: number;
}

/**
 * Compares digests of blocks: of versions and indexes nothing else is read. Two of these must have
 * blocks of the same size and the same digest.
 * @throws CasError `USAGE`, `INDEX_MISSING`, `ABORTED`, and what reading throws
 */
export async function diffImages(options: DiffImagesOptions): Promise<DiffImagesResult> {
  const before = await openSide(options.before, options);
  try {
    const after = await openSide(options.after, options);
    try {
      return await compare(before, after, options);
    } finally {
      after.close();
    }
  } finally {
    before.close();
  }
}

async function compare(
  before: Side,
  after: Side,
  { onRange, signal }: DiffImagesOptions,
): Promise<DiffImagesResult> {
  const format = formatOf(before, after);
  // One table in memory: that of an image if there is one, for the other one can be read in parts.
  const isBeforeHeld = before.format === undefined;
  const [held, read] = isBeforeHeld ? [before, after] : [after, before];
  const table = new BlockTable(format.blockSize, held.size ?? 0);
  for await (const { first, digests, end } of held.parts(format)) {
    if (end > table.size) table.resize(end);
    table.set(first, digests);
  }
  const found = { rangeCount: 0, differentBytes: 0 };
  const compared = { size: 0 };
  const ranges = differences(table, read.parts(format), compared, signal);
  for await (const range of joinedRanges(ranges)) {
    found.rangeCount += 1;
    found.differentBytes += range.end - range.start;
    await onRange?.(range);
  }
  const sizes = [table.size, compared.size];
  const [beforeSize, afterSize] = isBeforeHeld ? sizes : sizes.reverse();
  const isEqual = found.rangeCount === 0;
  return { isEqual, beforeSize, afterSize, blockSize: format.blockSize, ...found };
}

function formatOf(before: Side, after: Side): BlockFormat {
  const [a, b] = [before.format, after.format];
  if (a && b && (a.digest !== b.digest || a.blockSize !== b.blockSize)) {
    const reason = 'both have blocks of another size or digest: compare what "get" makes of one';
    throw new PipelineError('USAGE', { reason });
  }
  return a ?? b ?? { digest: 'sha256', blockSize: blockSizeFor(before.size) };
}

async function openSide(image: ComparedImage, work: DiffImagesOptions): Promise<Side> {
  if ('at' in image) {
    const blocks = await readVersion({ ...image, signal: work.signal });
    const { version } = blocks;
    return {
      format: version,
      size: version.size,
      *parts() {
        for (const { first, table } of blocks.parts()) {
          const end = first * version.blockSize + table.size;
          yield { first, digests: table.digests(), end };
        }
      },
      close: () => blocks.close(),
    };
  }
  const { input } = image;
  if (typeof input !== 'string' || kindOfPath(input) !== 'blob-index') {
    return imageSide(openImage(input, { ...image, ...work }), work);
  }
  const index = blockIndexAt(localPath(input));
  if (index === undefined) {
    const reason = 'its chunks are of several sizes; leave out --format= and --name= to compare it';
    throw new PipelineError('USAGE', { subject: input, reason });
  }
  const { table, digest } = index;
  return {
    format: { digest, blockSize: table.blockSize },
    size: table.size,
    parts: () => [{ first: 0, digests: table.digests(), end: table.size }],
    close() {},
  };
}

function imageSide(
  image: OpenedImage,
  { threadCount = defaultThreadCount(), signal, onProgress }: DiffImagesOptions,
): Side {
  return {
    format: undefined,
    size: image.size,
    async *parts(format) {
      const scan = new BlockScan({ ...format, threadCount, ...(signal ? { signal } : {}) });
      try {
        const source = await sourceOf(image);
        for await (const portion of scan.scan(source)) {
          const end = portion.start + portion.length;
          yield { first: portion.first, digests: portion.digestsOf(portion), end };
          portion.release();
          onProgress?.(progressOf('diff', end, source.size));
        }
      } finally {
        await scan.close();
      }
    },
    close: () => image.close(),
  };
}

/** @param compared filled in: bytes of the image that is read */
async function* differences(
  table: BlockTable,
  parts: AsyncIterable<Part> | Iterable<Part>,
  compared: { size: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<ByteRange> {
  const { blockSize } = table;
  for await (const { first, digests, end } of parts) {
    throwIfAborted(signal);
    for (let at = 0; at < digests.length; at += DIGEST_LENGTH) {
      const block = first + at / DIGEST_LENGTH;
      if (table.has(block, digests, at)) continue;
      const blockEnd = Math.max(end, table.size);
      yield { start: block * blockSize, end: Math.min((block + 1) * blockSize, blockEnd) };
    }
    compared.size = end;
  }
  const start = Math.ceil(compared.size / blockSize) * blockSize;
  if (start < table.size) yield { start, end: table.size };
}
