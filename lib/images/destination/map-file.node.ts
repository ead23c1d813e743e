/** Map files: the digests of the blocks of an image on disk (spec/formats/map.md, "Map file"). */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import { decodeBlockIndex, encodeBlockIndex } from '../../../formats/block-index.ts';
import type { BlockTable } from '../../../formats/block-table.ts';
import { readU64, writeU64 } from '../../../formats/bytes.ts';
import { about } from '../../../formats/errors.ts';
import { digestOfFlags, selectFlags } from '../../../formats/feature-flags.ts';
import { BLAKE2B_MAP_TYPE } from '../../../formats/map-state.ts';
import { RECORD_TYPES } from '../../../formats/record-types.ts';
import { openDurableFile, writeFully } from '../../../store/backends/durable-write.node.ts';
import { PipelineError } from '../../errors.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { readerOf } from '../part-reader.node.ts';

const TYPE_OFFSET = 8;

export interface MapFile {
  readonly table: BlockTable;
  readonly digest: BlockDigestName;
}

/**
 * Reads a map, or any index whose blocks are of one size.
 * @returns undefined if there is no file
 * @throws FormatError for what is no such index
 */
export function readMapFile(path: string): MapFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, path);
  }
  try {
    return readMap(descriptor, path);
  } catch (error) {
    throw about(path, error);
  } finally {
    closeSync(descriptor);
  }
}

function readMap(descriptor: number, path: string): MapFile | undefined {
  let isBlake2b = false;
  const read = readerOf(descriptor, path);
  const decoded = decodeBlockIndex(fstatSync(descriptor).size, (offset, length) => {
    const bytes = read(offset, length);
    if (offset === 0 && length >= TYPE_OFFSET + 8 && readU64(bytes, 8) === BLAKE2B_MAP_TYPE) {
      isBlake2b = true;
      writeU64(bytes, TYPE_OFFSET, RECORD_TYPES.INDEX);
    }
    return bytes;
  });
  if (decoded === undefined) {
    const reason = 'its chunks are not of one size';
    throw new PipelineError('USAGE', { subject: path, step: 'read map', reason });
  }
  const { table, featureFlags } = decoded;
  return { table, digest: isBlake2b ? 'blake2b-256' : digestOfFlags(featureFlags) };
}

/** The same as in an index that casync makes of a blob without further options. */
function mapFlags(digest: BlockDigestName): bigint {
  return selectFlags({
    with: 0n,
    without: 0n,
    defaultWith: 0n,
    excludeNodump: true,
    excludeSubmounts: false,
    excludeFile: true,
    digest: digest === 'sha512-256' ? digest : 'sha256',
  });
}

/** Puts a map in the place of the one that is there, at once. @param options.sync wait for the disk */
export async function replaceMapFile(
  path: string,
  { table, digest }: MapFile,
  options: { readonly mode: number; readonly sync: boolean },
): Promise<void> {
  const file = openDurableFile(path, { mode: options.mode });
  try {
    const flags = mapFlags(digest);
    let isFirst = true;
    for (const part of encodeBlockIndex(table, flags)) {
      if (isFirst && digest === 'blake2b-256') writeU64(part, TYPE_OFFSET, BLAKE2B_MAP_TYPE);
      isFirst = false;
      writeFully(file.descriptor, part);
    }
    await file.commit({ sync: options.sync });
  } catch (error) {
    file.discard();
    throw about(path, error);
  }
}
