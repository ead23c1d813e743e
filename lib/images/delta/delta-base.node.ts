/** What a delta leads from: an index, or an image that is read and cut (spec/images.md, "Deltas"). */
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import { decodeBlockIndex } from '../../../formats/block-index.ts';
import { BlockTable } from '../../../formats/block-table.ts';
import { readU64 } from '../../../formats/bytes.ts';
import type { DigestName } from '../../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../../formats/chunk-index.ts';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { LARGEST_DELTA_BLOCK, SMALLEST_DELTA_BLOCK } from '../../../formats/delta.ts';
import { about } from '../../../formats/errors.ts';
import { digestOfFlags } from '../../../formats/feature-flags.ts';
import { decodeIndex } from '../../../formats/index-codec.ts';
import { RECORD_HEADER_SIZE, RECORD_TYPES } from '../../../formats/record-types.ts';
import { PipelineError } from '../../errors.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { ProgressSink } from '../../progress.ts';
import { readerOf } from '../part-reader.node.ts';
import { type ChosenChunking, chooseChunking } from '../source/chunking-choice.node.ts';
import type { OpenedImage } from '../source/open-image.node.ts';
import type { BlockScan } from '../source/scan-blocks.node.ts';
import type { ChunkScan } from '../source/scan-chunks.node.ts';
import { readTable } from './make-blocks.node.ts';
import { readChunks } from './make-pieces.node.ts';

/** A base of blocks or of chunks, complete. */
export type DeltaBase =
  | { readonly kind: 'blocks'; readonly digest: BlockDigestName; readonly table: BlockTable }
  | { readonly kind: 'pieces'; readonly digest: DigestName; readonly index: ChunkIndex };

/** An index of chunks is in memory as a whole; one of blocks never is. */
const LONGEST_INDEX = 512 * 1024 * 1024;

/** An index file. @throws FormatError about the file */
export function baseOfIndex({ descriptor = -1, size = 0, label }: OpenedImage): DeltaBase {
  const read = readerOf(descriptor, label);
  try {
    const blocks = decodeBlockIndex(size, read);
    if (blocks !== undefined) {
      const { table, featureFlags } = blocks;
      checkBlockSize(table.blockSize, label);
      return { kind: 'blocks', digest: digestOfFlags(featureFlags), table };
    }
    if (size > LONGEST_INDEX) {
      throw new PipelineError('USAGE', { subject: label, reason: 'the index is too long' });
    }
    const index = decodeIndex(read(0, size));
    return { kind: 'pieces', digest: index.digest, index };
  } catch (error) {
    throw about(label, error);
  }
}

export function checkBlockSize(blockSize: number, label: string): void {
  if (blockSize >= SMALLEST_DELTA_BLOCK && blockSize <= LARGEST_DELTA_BLOCK) return;
  const reason = `blocks of deltas have ${SMALLEST_DELTA_BLOCK} to ${LARGEST_DELTA_BLOCK} bytes`;
  throw new PipelineError('USAGE', { subject: label, reason });
}

const KIB = 1024;
const MIB = KIB * KIB;
/** Small chunks make small deltas; large files get larger ones, so that the memory does not grow. */
const CHUNK_STEPS: readonly (readonly [size: number, average: number])[] = [
  [1024 * MIB, 4 * KIB],
  [4096 * MIB, 16 * KIB],
  [64 * 1024 * MIB, 64 * KIB],
];
const LARGEST_AVERAGE = 1024 * KIB;

/** How a file without index is cut. @param size bytes of it */
export function deltaChunkSizes(size: number): ChunkSizes {
  const avg = CHUNK_STEPS.find(([limit]) => size <= limit)?.[1] ?? LARGEST_AVERAGE;
  return { min: avg / 4, avg, max: avg * 4 };
}

/** How base and image are compared: by blocks if nothing moves in either of them. */
export function chooseDeltaChunking(base: OpenedImage, source: OpenedImage): ChosenChunking {
  const [ofBase, ofSource] = [base, source].map((image) => chooseChunking(image));
  return source.kind === 'stream' || ofBase.chunking === 'cdc' ? ofBase : ofSource;
}

/** Reads an image that is to be compared by its blocks. */
export async function baseOfBlocks(
  image: OpenedImage,
  scan: BlockScan,
  onProgress: ProgressSink | undefined,
): Promise<Extract<DeltaBase, { kind: 'blocks' }>> {
  const { blockSize, digest } = scan.options;
  const table = new BlockTable(blockSize, sizeOf(image));
  await readTable(scan, image.source(), table, onProgress);
  return { kind: 'blocks', digest, table };
}

/** Reads an image that is to be compared by its content. */
export async function baseOfChunks(
  image: OpenedImage,
  scan: ChunkScan,
  header: { readonly featureFlags: bigint; readonly chunkSizes: ChunkSizes },
  onProgress: ProgressSink | undefined,
): Promise<Extract<DeltaBase, { kind: 'pieces' }>> {
  const index = await readChunks(scan, image.segments(), header, onProgress);
  return { kind: 'pieces', digest: index.digest, index };
}

function sizeOf({ size, label }: OpenedImage): number {
  if (size !== undefined) return size;
  throw new PipelineError('USAGE', { subject: label, reason: 'a base cannot be a stream' });
}

/** Whether a base is an index: by what it begins with, whatever it is called. */
export function isIndex({ descriptor, kind, label }: OpenedImage): boolean {
  if (descriptor === undefined || kind !== 'file') return false;
  const head = new Uint8Array(RECORD_HEADER_SIZE);
  try {
    if (readFully(descriptor, head, 0) < head.length) return false;
  } catch (error) {
    throw systemFailure('read', error, label);
  }
  return readU64(head, 8) === RECORD_TYPES.INDEX;
}
