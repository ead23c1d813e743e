/** From an opened image to a file of QEMU (spec/bridges.md, "qcow2"). */
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { isQcow2, QCOW2_LARGEST_CLUSTER, QCOW2_SMALLEST_CLUSTER } from '../../../formats/qcow2.ts';
import { PipelineError } from '../../errors.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { openImage } from '../source/open-image.node.ts';
import { watchSource } from '../source/source-state.node.ts';
import type { BridgeWork } from './bridge-work.ts';
import { type BackingFile, writeQcow2Image } from './qcow2-image.node.ts';
import { Qcow2Writer } from './qcow2-writer.node.ts';

const USUAL_CLUSTER = 65_536;
const HEAD_LENGTH = 4;

export interface Qcow2ExportOptions {
  /** Default 64 KiB. */
  readonly clusterSize?: number;
  /** Path of a raw image. */
  readonly backing?: string;
  /** Permission bits of the image. */
  readonly mode?: number;
  readonly work: BridgeWork;
  /** Throws if the image has changed. */
  readonly checkSource: () => void;
}

/** @throws CasError `USAGE` for an unfit cluster size, backing file or source, `SOURCE_CHANGED` */
export async function exportQcow2(
  image: ImageSource,
  path: string,
  options: Qcow2ExportOptions,
): Promise<{ readonly writtenBytes: number; readonly dataBytes: number }> {
  const { clusterSize = USUAL_CLUSTER, work, checkSource } = options;
  refuseClusterSize(clusterSize);
  const { size } = image;
  if (size === undefined) {
    const reason = 'the size of a stream is not known in time for this format; give a file';
    throw new PipelineError('USAGE', { subject: image.label, step: 'export', reason });
  }
  const opened = options.backing === undefined ? undefined : openBacking(options.backing);
  try {
    const checkBacking = opened && (await watchSource(opened.file, 'export'));
    const writer = new Qcow2Writer(path, {
      size,
      clusterSize,
      ...(options.backing === undefined ? {} : { backing: nameFor(options.backing, path) }),
      ...(options.mode === undefined ? {} : { mode: options.mode }),
    });
    try {
      const counts = await writeQcow2Image(image, writer, clusterSize, opened?.file, work);
      checkSource();
      checkBacking?.();
      const writtenBytes = await writer.finish();
      return { writtenBytes, dataBytes: counts.dataClusters * clusterSize };
    } finally {
      writer.discard();
    }
  } finally {
    opened?.close();
  }
}

function refuseClusterSize(clusterSize: number): void {
  const isPower = Number.isInteger(Math.log2(clusterSize));
  if (isPower && clusterSize >= QCOW2_SMALLEST_CLUSTER && clusterSize <= QCOW2_LARGEST_CLUSTER) {
    return;
  }
  const reason = `Clusters have 4K, 8K, 16K ... or 2M, not ${clusterSize} bytes.`;
  throw new PipelineError('USAGE', { reason });
}

function openBacking(path: string): { readonly file: BackingFile; readonly close: () => void } {
  const { label, descriptor, size, close } = openImage(path);
  if (descriptor === undefined || size === undefined) {
    close();
    const reason = 'a backing file is a regular file or block device';
    throw new PipelineError('USAGE', { subject: label, reason });
  }
  const head = new Uint8Array(HEAD_LENGTH);
  try {
    readFully(descriptor, head, 0);
  } catch (error) {
    close();
    throw systemFailure('read', error, label);
  }
  if (!isQcow2(head)) return { file: { descriptor, size, label }, close };
  close();
  const reason = 'the backing file is an image of QEMU itself; only raw ones can be compared with';
  throw new PipelineError('USAGE', { subject: label, step: 'export', reason });
}

/** QEMU looks for a relative name beside the image, and takes what ends with a colon for a protocol. */
function nameFor(backing: string, output: string): Uint8Array {
  if (isAbsolute(backing)) return Buffer.from(backing);
  const name = relative(dirname(resolve(output)), resolve(backing));
  return Buffer.from(name.split('/')[0]?.includes(':') ? `./${name}` : name);
}
