/**
 * `verify` of an image against an index of blocks of one size: the index is a flat table, however many
 * blocks there are (spec/images.md, "Verifying").
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { BlockRun } from '../../formats/block-table.ts';
import { isCasError } from '../../formats/errors.ts';
import type { ByteRange } from '../compare/byte-ranges.ts';
import { joinedRanges } from '../compare/compare-blobs.node.ts';
import { throwIfAborted } from '../errors.ts';
import { type BlockIndex, readBlockIndex } from '../images/block-index-file.node.ts';
import { differentBlocks } from '../images/different-blocks.node.ts';
import { beginOf, type OpenedImage, openImage } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import type { ProgressSink } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { kindOfPath } from './kinds.ts';
import type { ComparedInput } from './options.ts';
import { localPath, remotePlace } from './stores.node.ts';

export interface VerifyBlocksOptions {
  readonly index: ComparedInput;
  readonly target: ComparedInput;
  readonly threadCount?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  readonly onRange?: (range: ByteRange) => Promise<void> | undefined;
}

export interface VerifiedBlob {
  readonly kind: 'blob';
  readonly isGood: boolean;
  readonly expectedSize: number;
  /** Undefined where it is not known, or does not matter. */
  readonly targetSize?: number;
  readonly rangeCount: number;
  /** Bytes in these ranges. */
  readonly differentBytes: number;
}

const OPEN_FOR_READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** @returns undefined if the index is another one, or one of both is not here: then nothing was read */
export async function verifyBlocks(
  options: VerifyBlocksOptions,
): Promise<VerifiedBlob | undefined> {
  const { index, target } = options;
  if (target.kind !== undefined && target.kind !== 'blob') return undefined;
  if (typeof target.input === 'string' && !isImagePath(target.input)) return undefined;
  const blocks = openBlockIndex(index);
  if (blocks === undefined) return undefined;
  const image = openTarget(target, options);
  if (image === undefined) return undefined;
  try {
    return await compare(blocks, image, options);
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  } finally {
    image.close();
  }
}

function isImagePath(word: string): boolean {
  return remotePlace(word) === undefined && kindOfPath(word) === undefined;
}

/** Folders and what is no image are left to others, who say what is wrong. */
function openTarget(
  { input, label }: ComparedInput,
  { signal }: VerifyBlocksOptions,
): OpenedImage | undefined {
  try {
    return openImage(input, { ...(label ? { label } : {}), ...(signal ? { signal } : {}) });
  } catch (error) {
    if (isCasError(error)) return undefined;
    throw error;
  }
}

/** @returns undefined for whatever else an index or input may be */
export function openBlockIndex({ input, kind, label }: ComparedInput): BlockIndex | undefined {
  if (typeof input !== 'string' && typeof input !== 'number') return undefined;
  if (typeof input === 'string' && remotePlace(input) !== undefined) return undefined;
  if ((kind ?? kindOfPath(input)) !== 'blob-index') return undefined;
  const opened = typeof input === 'string' ? openQuietly(localPath(input)) : input;
  if (opened === undefined) return undefined;
  try {
    const stats = fstatSync(opened);
    if (!stats.isFile()) return undefined;
    const name = label ?? `${input}`;
    return readBlockIndex({ descriptor: opened, label: name, size: stats.size });
  } finally {
    if (typeof input === 'string') closeSync(opened);
  }
}

/** Whoever opens it next says what is wrong. */
function openQuietly(path: string): number | undefined {
  try {
    return openSync(path, OPEN_FOR_READING);
  } catch {
    return undefined;
  }
}

async function compare(
  { table, digest }: BlockIndex,
  image: OpenedImage,
  { threadCount = defaultThreadCount(), signal, onProgress, onRange }: VerifyBlocksOptions,
): Promise<VerifiedBlob> {
  const { blockSize, size: expectedSize } = table;
  const isDevice = image.kind === 'device';
  const isLonger = image.size !== undefined && image.size > expectedSize;
  const source = isLonger ? beginOf(image.source(), expectedSize) : image.source();
  const scan = new BlockScan({ blockSize, digest, threadCount, ...(signal ? { signal } : {}) });
  const compared = { size: 0 };
  const found = { rangeCount: 0, differentBytes: 0 };
  try {
    const runs = differentBlocks(table, source, scan, compared, onProgress);
    for await (const range of joinedRanges(rangesOf(runs, blockSize, expectedSize))) {
      found.rangeCount += 1;
      found.differentBytes += range.end - range.start;
      await onRange?.(range);
    }
  } finally {
    await scan.close();
  }
  const targetSize = isDevice ? undefined : (image.size ?? compared.size);
  const isGood = found.rangeCount === 0 && (targetSize ?? expectedSize) === expectedSize;
  const sizes = { expectedSize, ...(targetSize === undefined ? {} : { targetSize }) };
  return { kind: 'blob', isGood, ...sizes, ...found };
}

async function* rangesOf(
  runs: AsyncIterable<BlockRun>,
  blockSize: number,
  size: number,
): AsyncGenerator<ByteRange> {
  for await (const { first, count } of runs) {
    yield { start: first * blockSize, end: Math.min((first + count) * blockSize, size) };
  }
}
