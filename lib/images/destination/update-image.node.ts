/**
 * Brings a file or block device to the content of an image, with its map (spec/images.md, "Map"): the
 * sink over a destination.
 */
import { randomBytes } from 'node:crypto';
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import { BlockTable } from '../../../formats/block-table.ts';
import { TAG_LENGTH } from '../../../formats/map-state.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { bootId } from '../../os/boot.node.ts';
import { blockSizeFor } from '../block-size.ts';
import { bindingOf, tagged } from './binding.node.ts';
import { openDestination } from './destination.node.ts';
import type { ImageUpdate, ImageUpdateOptions } from './image-update.ts';
import { ImageUpdater } from './image-updater.ts';
import { SHA256 } from './map-header.node.ts';
import { mapPathOf } from './map-place.node.ts';
import { MapFiles } from './map-storage.node.ts';
import { type MapStart, MapWriter } from './map-writer.ts';
import { openMap } from './open-map.node.ts';
import type { OpenedDestination } from './opened-destination.ts';
import { readBlocks } from './read-destination.node.ts';

const USUAL_BATCH = 64 * 1024 * 1024;

/**
 * Opens a destination and its map; an update that was cut off is taken up. Nothing is written before
 * the first block.
 * @throws PipelineError `UNSAFE_TARGET` if map and destination do not belong together, the rest as
 * `openDestination`
 */
export async function openImageUpdate(
  path: string,
  options: ImageUpdateOptions,
): Promise<ImageUpdate> {
  const destination = openDestination(path, options);
  let files: MapFiles | undefined;
  try {
    const mapPath = mapPathOf(options.map ?? 'auto', destination);
    files = mapPath === undefined ? undefined : new MapFiles(mapPath);
    return updaterOf(destination, files, options);
  } catch (error) {
    destination.close();
    files?.close();
    throw error;
  }
}

function updaterOf(
  destination: OpenedDestination,
  files: MapFiles | undefined,
  options: ImageUpdateOptions,
): ImageUpdater {
  const { start, digestName } = startOf(destination, files, options);
  const { blockSize } = start.table;
  if (blockSize % destination.sectorSize !== 0) {
    const reason = `blocks of ${blockSize} bytes, which must be a multiple of ${destination.sectorSize}`;
    throw new PipelineError('USAGE', { subject: destination.label, step: 'open', reason });
  }
  return createUpdater({ destination, files, start, digestName }, options);
}

export interface UpdaterParts {
  readonly destination: OpenedDestination;
  readonly files: MapFiles | undefined;
  readonly start: MapStart;
  readonly digestName: BlockDigestName;
}

/** The update of a destination that begins with what is known. Closes destination and files in the end. */
export function createUpdater(
  { destination, files, start, digestName }: UpdaterParts,
  options: Omit<ImageUpdateOptions, 'size'>,
): ImageUpdater {
  const { signal, isDryRun = false, threadCount = 0, onUndo, onRead } = options;
  const { blockSize } = start.table;
  const reading = { blockSize, digest: digestName, threadCount, signal };
  const digest = createBlockDigest(digestName);
  const batch = options.batch ?? USUAL_BATCH;
  const fsync = options.fsync ?? 'batch';
  const map =
    files &&
    new MapWriter({
      ...{ storage: files, destination, start, digest, batch, fsync },
      sha256: SHA256,
      binding: () => tagged(destination),
      bootId: bootId(),
      nonce: new Uint8Array(randomBytes(TAG_LENGTH)),
    });
  return new ImageUpdater({
    ...{ destination, digest, start, map, mapPath: files?.mapPath },
    ...{ batch, fsync, isDryRun, signal, onUndo, onRead },
    readBlocks: (runs, size) => readBlocks(destination, { runs, size }, reading),
    nowMs: () => performance.now(),
  });
}

/** Nothing is known of so many bytes. */
export function unknownStart(blockSize: number, size: number): MapStart {
  const table = new BlockTable(blockSize, size);
  return { table, kind: 'void', root: undefined, journalEnd: 0, recordNumber: 0 };
}

function startOf(
  destination: OpenedDestination,
  files: MapFiles | undefined,
  options: ImageUpdateOptions,
) {
  const { blockSize, digest, check = false, isDryRun = false, onWarning } = options;
  const asked = { blockSize, digest, check, isReadOnly: isDryRun, bootId: bootId() };
  const opened =
    files &&
    openMap(files, destination, {
      ...asked,
      binding: bindingOf(destination),
      onWarning: onWarning ?? (() => undefined),
    });
  if (opened !== undefined) {
    return { start: opened.start, digestName: opened.header.digest };
  }
  const { imageSize = Number.POSITIVE_INFINITY, size } = destination;
  // What is going to be cut off need not be known.
  const known = Math.min(size, imageSize);
  const fitting = blockSizeFor(destination.imageSize ?? (size > 0 ? size : undefined));
  const start = unknownStart(blockSize ?? fitting, known);
  return { start, digestName: digest ?? ('sha256' as const) };
}
