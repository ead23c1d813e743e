/** Opens files and block devices that are to be seeds, and finds the index beside one, if there is one. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { parse } from 'node:path';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import { PipelineError } from '../errors.ts';
import { blockDeviceSize } from '../os/block-device.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';

/** An open file or device that is a seed. */
export interface SeedFile {
  /** For messages. */
  readonly label: string;
  /** Open for reading. */
  readonly descriptor: number;
  /** Bytes of it that count. */
  readonly size: number;
}

const { O_NOCTTY, O_NONBLOCK, O_RDONLY } = constants;

/**
 * @returns undefined if a directory is there
 * @throws PipelineError `USAGE` for what is neither file nor device; `DENIED` | `IO`
 */
export function openSeedFile(path: string): SeedFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
  try {
    const stats = fstatSync(descriptor);
    if (stats.isFile()) return { label: path, descriptor, size: stats.size };
    if (stats.isBlockDevice()) {
      return { label: path, descriptor, size: blockDeviceSize(descriptor, path) };
    }
    closeSync(descriptor);
    if (stats.isDirectory()) return undefined;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  const reason = 'neither a directory, a regular file, nor a block device';
  throw new PipelineError('USAGE', { subject: path, reason });
}

/**
 * The index that lies beside a seed, as `disk.raw.caibx` or `disk.caibx`, if it can be the seed's: what
 * it says is believed no more than the seed itself.
 * @param like names its chunks with the same digest
 */
export function indexBeside(file: SeedFile, like: ChunkIndex): ChunkIndex | undefined {
  const { dir, name } = parse(file.label);
  const folder = dir === '' ? '.' : dir;
  for (const path of [`${file.label}.caibx`, `${folder}/${name}.caibx`]) {
    const index = readIndex(path);
    if (index?.totalSize === file.size && index.digest === like.digest) return index;
  }
  return undefined;
}

function readIndex(path: string): ChunkIndex | undefined {
  try {
    return decodeIndex(readFileSync(path));
  } catch (error) {
    if (isCasError(error) || errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
