/**
 * Reads what a destination holds and compares it with what it is known to hold, from the medium where
 * the system lets go of its copy (spec/images.md, "Verifying").
 */
import { closeSync, fdatasyncSync, openSync, rmSync } from 'node:fs';
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../formats/block-table.ts';
import { PipelineError } from '../errors.ts';
import { dropCached } from '../os/page-cache.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { SegmentRing } from '../work/segment-ring.ts';
import type { ImageUpdate } from './destination/image-update.ts';
import type { ImagePart, ImageSource, PartLayout } from './source/image-source.node.ts';
import type { BlockScan } from './source/scan-blocks.node.ts';

interface VerifyWrittenOptions {
  /** What is read: rising, none twice; all of the image if left out. */
  readonly runs?: Iterable<BlockRun>;
  readonly onProgress?: ProgressSink | undefined;
}

/**
 * @param path of a file or device
 * @returns blocks that are not what the table says
 * @throws PipelineError
 */
async function findWrongBlocks(
  path: string,
  table: BlockTable,
  scan: BlockScan,
  options: VerifyWrittenOptions = {},
): Promise<readonly BlockRun[]> {
  const descriptor = open(path);
  try {
    // Only what is on disk can be dropped from memory.
    fdatasyncSync(descriptor);
    dropCached(descriptor, 0, 0);
    const { runs = [{ first: 0, count: table.count }], onProgress } = options;
    const source = runsOfFile({ descriptor, label: path }, table, runs);
    const wrong: BlockRun[] = [];
    for await (const portion of scan.scan(source)) {
      const digests = portion.digestsOf(portion);
      for (let i = 0; i < portion.count; i++) {
        const block = portion.first + i;
        if (!table.has(block, digests, i * DIGEST_LENGTH)) wrong.push({ first: block, count: 1 });
      }
      portion.release();
      onProgress?.(progressOf('verify', portion.start + portion.length, table.size));
    }
    return wrong;
  } finally {
    closeSync(descriptor);
  }
}

/** What is needed of an update. */
type VerifiedUpdate = Pick<ImageUpdate, 'blockSize' | 'known' | 'mapPath'> & {
  readonly destination: Pick<ImageUpdate['destination'], 'path'>;
};

/**
 * The same for a destination whose update has been finished.
 * @throws PipelineError `VERIFY_FAILED`; the map is given up, so that the next run reads everything
 */
export async function verifyUpdate(
  { destination, known, mapPath, blockSize }: VerifiedUpdate,
  scan: BlockScan,
  options: VerifyWrittenOptions,
): Promise<void> {
  const wrong = await findWrongBlocks(destination.path, known, scan, options);
  const [first] = wrong;
  if (first === undefined) return;
  if (mapPath !== undefined) for (const path of [`${mapPath}.state`, mapPath]) rmSync(path);
  const reason =
    `${wrong.length} blocks are not what was written, the first at ` +
    `${first.first * blockSize}; its map is gone, and the next run reads all of it`;
  throw new PipelineError('VERIFY_FAILED', { subject: destination.path, step: 'verify', reason });
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemFailure('verify', error, path);
  }
}

/** Some blocks of a file, rising; holes are read like everything else. */
export function runsOfFile(
  { descriptor, label }: { readonly descriptor: number; readonly label: string },
  { size, blockSize }: BlockTable,
  runs: Iterable<BlockRun>,
): ImageSource {
  async function* parts(ring: SegmentRing, { length }: PartLayout): AsyncGenerator<ImagePart> {
    for (const { first, count } of runs) {
      const end = Math.min((first + count) * blockSize, size);
      for (let start = first * blockSize; start < end; start += length) {
        const address = await ring.acquire();
        const from = { descriptor, offset: start, label };
        yield { kind: 'data', start, length: Math.min(length, end - start), address, from };
      }
    }
  }
  return { label, size, parts };
}
