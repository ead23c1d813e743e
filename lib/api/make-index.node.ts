/** `makeIndex` of the library: an index without a store (spec/api.md, "makeIndex"). */
import { existsSync } from 'node:fs';
import { type BlockDigestName, DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { encodeBlockIndex } from '../../formats/block-index.ts';
import { BlockTable } from '../../formats/block-table.ts';
import { hexOf } from '../../formats/bytes.ts';
import { type ChunkIndex, IndexBuilder } from '../../formats/chunk-index.ts';
import { type ChunkSizes, DEFAULT_CHUNK_SIZES, isFixedSize } from '../../formats/chunk-sizes.ts';
import { rootOf, rootOfTable } from '../../formats/image-root.ts';
import { encodeIndex } from '../../formats/index-codec.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import {
  type ChosenChunking,
  type Chunking,
  chooseChunking,
} from '../images/source/chunking-choice.node.ts';
import { type OpenedImage, openImage } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import { ChunkScan } from '../images/source/scan-chunks.node.ts';
import { watchSource } from '../images/source/source-state.node.ts';
import type { ByteSink } from '../make/byte-sink.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { digestNameOf, type RecordOptions, recordedFlags } from './features.ts';
import type { InputOptions } from './options.ts';
import { openOutput, refuseInputAsOutput } from './output.node.ts';
import { localPath, remotePlace } from './stores.node.ts';

export interface MakeIndexOptions extends InputOptions, RecordOptions {
  /** Path of the index, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
  /** Default `auto`: by what the image looks like. Sizes that are given decide, too. */
  readonly chunking?: 'auto' | Chunking;
  /** Bytes of a block; by default a size that fits the image. */
  readonly blockSize?: number;
  /** Of content-defined chunks: default 16 KiB, 64 KiB and 256 KiB. Three equal ones are a block size. */
  readonly chunkSizes?: ChunkSizes;
  /** Default buzhash, the only one that casync 2 has. */
  readonly chunker?: ChunkerName;
  /** Told how the image is cut, and why, before it is read. */
  readonly onChunking?: (chosen: ChosenChunking, chunkSizes: ChunkSizes) => void;
}

export interface MakeIndexResult {
  readonly chunking: Chunking;
  readonly chunkSizes: ChunkSizes;
  /** Bytes of the image. */
  readonly size: number;
  readonly chunkCount: number;
  /** Names this version of the image (spec/images.md, "Root"): 64 hex digits. */
  readonly root: string;
  readonly totalMs: number;
}

/**
 * Makes an index of a file, device or stream, and no store. A file or device that changes meanwhile is
 * refused: no index of it would be true.
 * @throws CasError `USAGE`, `SOURCE_CHANGED`, `UNSAFE_TARGET` if the index would take the place of the
 * map of a destination, `ABORTED`, and what reading and writing throw
 */
export async function makeIndex(options: MakeIndexOptions): Promise<MakeIndexResult> {
  const started = performance.now();
  const image = openImage(options.input, options);
  try {
    refuseInputAsOutput(options.output, [options.input]);
    refuseMap(options);
    const chosen = chosenFor(image, options);
    const chunkSizes = chunkSizesFor(image, chosen.chunking, options);
    options.onChunking?.(chosen, chunkSizes);
    const checkSource = await watchSource(image, 'index');
    const sink = await openOutput(options, image.mode);
    try {
      const job = { image, sink, chunkSizes, options };
      const made = await (chosen.chunking === 'fixed' ? indexBlocks(job) : indexChunks(job));
      checkSource();
      await sink.commit();
      const totalMs = performance.now() - started;
      return { chunking: chosen.chunking, chunkSizes, ...made, totalMs };
    } finally {
      await sink.discard();
    }
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  } finally {
    image.close();
  }
}

/** A map belongs to its destination; an index in its place would be a wrong one. */
function refuseMap({ output }: MakeIndexOptions): void {
  if (typeof output !== 'string' || remotePlace(output) !== undefined) return;
  const path = localPath(output);
  if (!existsSync(`${path}.state`)) return;
  const reason = 'the map of a destination is there; name another output with -o';
  throw new PipelineError('UNSAFE_TARGET', { subject: path, step: 'write index', reason });
}

function chosenFor(image: OpenedImage, options: MakeIndexOptions): ChosenChunking {
  const { chunking = 'auto', blockSize, chunkSizes } = options;
  const isBlocks = blockSize !== undefined || (chunkSizes !== undefined && isFixedSize(chunkSizes));
  const given = isBlocks ? 'fixed' : chunkSizes === undefined ? undefined : 'cdc';
  if (chunking === 'auto') {
    return given === undefined
      ? chooseChunking(image)
      : { chunking: given, reason: 'as asked for' };
  }
  if (given === undefined || given === chunking) return { chunking, reason: 'as asked for' };
  const reason =
    given === 'fixed'
      ? 'a block size is of use only with fixed blocks'
      : 'content-defined chunk sizes are of no use with fixed blocks';
  throw new PipelineError('USAGE', { subject: image.label, step: 'index', reason });
}

function chunkSizesFor(
  image: OpenedImage,
  chunking: Chunking,
  { blockSize, chunkSizes }: MakeIndexOptions,
): ChunkSizes {
  if (blockSize === undefined && chunkSizes !== undefined) return chunkSizes;
  if (chunking === 'cdc') return DEFAULT_CHUNK_SIZES;
  const size = blockSize ?? blockSizeFor(image.size);
  return { min: size, avg: size, max: size };
}

interface IndexJob {
  readonly image: OpenedImage;
  readonly sink: ByteSink;
  readonly chunkSizes: ChunkSizes;
  readonly options: MakeIndexOptions;
}

type Made = Pick<MakeIndexResult, 'size' | 'chunkCount' | 'root'>;

async function indexBlocks({ image, sink, chunkSizes, options }: IndexJob): Promise<Made> {
  const { threadCount = defaultThreadCount(), signal, onProgress } = options;
  const digest: BlockDigestName = digestNameOf(options);
  const blockSize = chunkSizes.avg;
  const table = new BlockTable(blockSize, image.size ?? 0);
  const scan = new BlockScan({ blockSize, digest, threadCount, ...(signal ? { signal } : {}) });
  try {
    for await (const portion of scan.scan(image.source())) {
      const end = portion.start + portion.length;
      if (end > table.size) table.resize(end);
      table.set(portion.first, portion.digestsOf(portion));
      portion.release();
      onProgress?.(progressOf('index', end, image.size));
    }
  } finally {
    await scan.close();
  }
  const flags = recordedFlags(options, 0n);
  for (const part of encodeBlockIndex(table, flags)) await sink.write(part);
  const root = rootOfTable(createBlockDigest(digest), table);
  return { size: table.size, chunkCount: table.count, root: hexOf(root) };
}

async function indexChunks({ image, sink, chunkSizes, options }: IndexJob): Promise<Made> {
  const { threadCount = defaultThreadCount(), signal, onProgress, chunker } = options;
  const digest = digestNameOf(options);
  const builder = new IndexBuilder();
  const scan = new ChunkScan({
    ...{ chunkSizes, digest, threadCount },
    ...(chunker === undefined ? {} : { chunker }),
    ...(signal ? { signal } : {}),
  });
  try {
    for await (const { lengths, digests, release } of scan.scan(image.segments())) {
      for (const [i, length] of lengths.entries()) builder.addDigest(digests, i, length);
      release();
      onProgress?.(progressOf('index', builder.totalSize, image.size));
    }
  } finally {
    await scan.close();
  }
  const index = builder.finish({ featureFlags: recordedFlags(options, 0n), chunkSizes });
  await sink.write(encodeIndex(index));
  const parts = { size: index.totalSize, blockSize: 0 };
  const root = rootOf(createBlockDigest(digest), parts, digestsOf(index));
  return { size: index.totalSize, chunkCount: index.count, root: hexOf(root) };
}

function digestsOf(index: ChunkIndex): Uint8Array {
  const digests = new Uint8Array(index.count * DIGEST_LENGTH);
  for (let i = 0; i < index.count; i++) digests.set(index.idBytes(i), i * DIGEST_LENGTH);
  return digests;
}
