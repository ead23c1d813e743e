/** Opens the writable layer of a block export (spec/formats/overlay.md). Used by serve-nbd and mkdev. */
import { crc32 } from 'node:zlib';
import { equalBytes } from '../../../formats/bytes.ts';
import { about } from '../../../formats/errors.ts';
import { BLOCK_LENGTH, decodeOverlayHeader, overlayLayout } from '../../../formats/overlay.ts';
import { PipelineError } from '../../errors.ts';
import type { BlobReader } from '../../read/blob-reader.ts';
import type { BlockExport } from './block-export.ts';
import { createOverlay } from './overlay.ts';
import { openOverlayFile } from './overlay-file.node.ts';
import type { OverlayFile } from './overlay-file.ts';
import { loadMap, type OverlayPlace } from './overlay-store.ts';

export interface OverlayOptions {
  /** What the base is recognised by, 32 bytes; left out where only its size is known. */
  readonly identity?: Uint8Array;
}

/**
 * Opens the overlay in the file `path`, which is created if it is not there. The export takes writes,
 * which go into the file; the base is only read.
 * @param base belongs to the export from now on and is closed with it; stays open if this fails
 * @throws CasError `LEASE_HELD` while another export has the file open; `USAGE` for an overlay of
 * another base; `FORMAT` for a file that is damaged or no overlay. The file is unchanged then
 */
export async function openOverlay(
  base: BlobReader,
  path: string,
  options: OverlayOptions = {},
): Promise<BlockExport> {
  const { identity } = options;
  const file = await openOverlayFile(path, { size: base.size, identity });
  try {
    return await openOn(base, file, identity);
  } catch (error) {
    file.close();
    throw about(path, error);
  }
}

async function openOn(
  base: BlobReader,
  file: OverlayFile,
  identity: Uint8Array | undefined,
): Promise<BlockExport> {
  const place = await readPlace(base, file, identity);
  return createOverlay(base, place, await loadMap(place));
}

async function readPlace(
  base: BlobReader,
  file: OverlayFile,
  identity: Uint8Array | undefined,
): Promise<OverlayPlace> {
  const page = new Uint8Array(Math.min(BLOCK_LENGTH, file.size));
  await file.read(0, page);
  const header = decodeOverlayHeader(page, crc32);
  if (header.size !== base.size) {
    throw otherBase(`it is for an image of ${header.size} bytes, this one has ${base.size}`);
  }
  if ((header.identity === undefined) !== (identity === undefined)) {
    throw otherBase(
      identity === undefined
        ? 'it is for the image behind an index'
        : 'it is for an image without an index',
    );
  }
  if (header.identity && identity && !equalBytes(header.identity, identity)) {
    throw otherBase('it is for the image behind another index');
  }
  const layout = overlayLayout(header.size);
  if (file.size !== layout.fileSize) {
    throw new PipelineError('IO', {
      step: 'open overlay',
      reason: `has ${file.size} bytes instead of ${layout.fileSize}`,
    });
  }
  return { file, layout, id: header.id, crc32 };
}

function otherBase(reason: string): PipelineError {
  return new PipelineError('USAGE', { step: 'open overlay', reason });
}
