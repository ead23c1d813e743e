/** Makes a map that is there the one of a destination (spec/images.md, "`map`"). */
import { rootOfTable } from '../../../formats/image-root.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { bootId } from '../../os/boot.node.ts';
import { tagged } from './binding.node.ts';
import type { MapFiles } from './map-storage.node.ts';
import { refusal } from './open-map.node.ts';
import type { OpenedDestination } from './opened-destination.ts';
import type { BoundMap } from './read-bound-map.node.ts';
import { isComplete } from './unknown-runs.ts';

/**
 * Believes a map for this destination from now on. Nothing of the destination is read.
 * @throws PipelineError `UNSAFE_TARGET` if it cannot be its map
 */
export async function bindMap(
  files: MapFiles,
  destination: OpenedDestination,
  { table, digest, hasJournal }: BoundMap,
): Promise<void> {
  if (hasJournal || !isComplete(table)) {
    throw refusal(files.mapPath, 'an update was cut off before this map was complete');
  }
  const { destinationSize } = destination.traces();
  const isFitting =
    table.size === destinationSize ||
    (destination.kind === 'device' && table.size < destinationSize);
  if (!isFitting) {
    const reason = `the map is about ${table.size} bytes, the destination has ${destinationSize}`;
    throw new PipelineError('UNSAFE_TARGET', { subject: destination.label, step: 'bind', reason });
  }
  const root = rootOfTable(createBlockDigest(digest), table);
  const binding = tagged(destination);
  await destination.sync();
  await files.replaceState({
    digest,
    blockSize: table.blockSize,
    condition: {
      root,
      imageSize: table.size,
      ...destination.traces(),
      bootId: bootId() ?? 0n,
    },
    binding,
    isUnknown: false,
    isUnsynced: false,
  });
}
