/** Sparse images with block maps: checked, and copied into a file or device (spec/bridges.md, "bmap"). */
import { statSync } from 'node:fs';
import { PipelineError } from '../../errors.ts';
import { SparseImage } from '../delta/patch-sparse.node.ts';
import { openDestination } from '../destination/destination.node.ts';
import { NewImage } from '../new-image.node.ts';
import { refuseOutput } from '../refuse-output.node.ts';
import type { BridgeWork } from './bridge-work.ts';

const FILE_MODE = 0o666;

export interface BmapImport {
  /** Bytes of the image. */
  readonly size: number;
  readonly writtenBytes: number;
}

export interface BmapImportOptions {
  /** A device, on which only mapped blocks are written, or a file that is made; only checked if left out. */
  readonly output?: string;
  readonly forceDevice?: boolean;
}

/**
 * @param path of the image; the block map lies beside it
 * @throws FormatError if image and map do not fit each other: nothing is written then; PipelineError
 * `TARGET_FULL` | `UNSAFE_TARGET`
 */
export async function importBmap(
  path: string,
  { output, forceDevice = false }: BmapImportOptions,
  work: BridgeWork,
): Promise<BmapImport> {
  const image = new SparseImage(path);
  try {
    const { imageSize: size, delta } = image.bmap;
    if (delta !== undefined && output !== undefined) {
      const reason = 'it is a delta, whose other blocks the base has; "patch" applies it';
      throw new PipelineError('USAGE', { subject: path, step: 'import', reason });
    }
    // Nothing is there yet that could be compared.
    const empty = { label: output ?? path, kind: 'file' as const, size: 0, read: fillWithZeros };
    await image.check(empty, true, work);
    if (output === undefined) return { size, writtenBytes: 0 };
    const write = isDevice(output) ? toDevice : toFile;
    return { size, writtenBytes: await write(image, output, { work, forceDevice }) };
  } finally {
    image.close();
  }
}

interface WriteOptions {
  readonly work: BridgeWork;
  readonly forceDevice: boolean;
}

async function toFile(image: SparseImage, path: string, { work }: WriteOptions): Promise<number> {
  refuseOutput(path, [image.label, `${image.label}.bmap`]);
  const file = new NewImage(path, FILE_MODE);
  try {
    file.resize(image.bmap.imageSize);
    const { writtenBytes } = await image.write(file, work);
    await file.commit();
    return writtenBytes;
  } finally {
    file.discard();
  }
}

async function toDevice(
  image: SparseImage,
  path: string,
  { work, forceDevice }: WriteOptions,
): Promise<number> {
  const size = image.bmap.imageSize;
  const device = openDestination(path, { size, sizePolicy: 'larger-ok', forceDevice });
  try {
    const { writtenBytes } = await image.write(device, work);
    await device.sync();
    return writtenBytes;
  } finally {
    device.close();
  }
}

function isDevice(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isBlockDevice() ?? false;
}

function fillWithZeros(into: Uint8Array): void {
  into.fill(0);
}
