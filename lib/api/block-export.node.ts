/** A blob as a block export, alone or below a layer that takes writes. Used by serveNbd and mkdev. */
import type { BlobReader } from '../read/blob-reader.ts';
import type { BlockExport } from '../serve/nbd/block-export.ts';
import { openOverlay } from '../serve/nbd/overlay.node.ts';
import { type OpenBlobOptions, openBlob } from './open-blob.node.ts';

export interface BlockExportOptions extends OpenBlobOptions {
  /** Path of a file that takes what is written, and keeps it; without it nothing can be written. */
  readonly cow?: string;
}

/**
 * @param below what is done to the blob before anything is put above it
 * @throws CasError what opening the input or the file throws; then nothing is left open
 */
export async function openBlockExport(
  options: BlockExportOptions,
  below: (blob: BlobReader) => BlobReader,
): Promise<BlockExport> {
  const { reader, identity } = await openBlob(options);
  const base = below(reader);
  const { cow } = options;
  if (cow === undefined) return base;
  try {
    return await openOverlay(base, cow, identity === undefined ? {} : { identity: identity() });
  } catch (error) {
    await base.close();
    throw error;
  }
}
