/** What a destination is before its first write, as a version: what an undo leads back to. */
import { closeSync, openSync } from 'node:fs';
import { BlockTable } from '../../formats/block-table.ts';
import type { ImageVersion } from '../../formats/delta.ts';
import { rootOfTable } from '../../formats/image-root.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { ImageUpdate } from './destination/image-update.ts';
import type { BlockScan } from './source/scan-blocks.node.ts';
import { runsOfFile } from './verify-written.node.ts';

/**
 * @param update with nothing unknown in it, and nothing written yet
 * @throws PipelineError `IO`
 */
export async function versionBefore(update: ImageUpdate, scan: BlockScan): Promise<ImageVersion> {
  const { known, root, destination } = update;
  if (root !== undefined) return { size: known.size, root };
  if (destination.kind === 'device' || known.size >= destination.size) {
    return { size: known.size, root: rootOfTable(scan.digest, known) };
  }
  // What is going to be cut off nobody has read so far.
  const whole = new BlockTable(known.blockSize, destination.size);
  const first = Math.floor(known.size / known.blockSize);
  whole.set(0, known.digests(0, first));
  const descriptor = open(destination.path);
  try {
    const rest = [{ first, count: whole.count - first }];
    const source = runsOfFile({ descriptor, label: destination.path }, whole, rest);
    for await (const portion of scan.scan(source)) {
      whole.set(portion.first, portion.digestsOf(portion));
      portion.release();
    }
  } finally {
    closeSync(descriptor);
  }
  return { size: whole.size, root: rootOfTable(scan.digest, whole) };
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemFailure('read', error, path);
  }
}
