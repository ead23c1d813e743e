/**
 * Chooses how a blob is written by what is at the output already (spec/formats/extraction.md, "Blob").
 * Used by `extract` for blobs.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { about } from '../../formats/errors.ts';
import { PipelineError } from '../errors.ts';
import { statPath } from '../os/file-stat.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { startVolumeUpdate } from '../os/ubi.node.ts';
import type { BlockTarget, HeldContent, TargetOptions } from './target.ts';
import { openDeviceTarget } from './target-device.node.ts';
import { openFileTarget } from './target-file.node.ts';
import { openInPlaceTarget, openOldFile } from './target-in-place.node.ts';
import { openStreamTarget } from './target-stream.node.ts';

const DIRECTORY_REFUSED = 'Output is a directory, but attempted to extract blob index. Refusing.';
const KIND_REFUSED = 'Output is neither a directory, a regular file, nor a block device. Refusing.';
export interface OutputOptions extends TargetOptions {
  /** What the output holds already need not be written again; default false. */
  readonly keepOld?: boolean;
  /** For a new file: one that is believed to hold nearly the same. */
  readonly base?: HeldContent;
  /** Ends the waiting for a reader of a stream that takes nothing. */
  readonly signal?: AbortSignal;
}

/** As many links in a row as Linux follows. */
const MAX_LINKS = 40;

/**
 * Opens an output for a blob of `size` bytes. Nothing at the output changes before the first write.
 * @param output path (a symbolic link leads on), or a descriptor open for writing, such as standard
 *   output, which stays open.
 * @throws PipelineError `USAGE` if the output cannot take a blob, `TARGET_FULL` | `DENIED` | `IO`
 */
export function openBlockTarget(output: string | number, options: OutputOptions): BlockTarget {
  if (typeof output === 'number') return openDescriptor(output, options);
  const { path, stats } = followLinks(output);
  if (stats === undefined) return openFileTarget(path, options);
  if (stats.isFile()) return openOverFile(path, stats, options);
  if (stats.isBlockDevice()) return openDeviceTarget(path, { ...options, label: output });
  if (stats.isCharacterDevice() && isUbiVolume(path)) {
    return openUbiVolume(path, { size: options.size, label: output });
  }
  const reason = stats.isDirectory() ? DIRECTORY_REFUSED : KIND_REFUSED;
  throw new PipelineError('USAGE', { reason });
}

/** Shares blocks with the file that is there, or updates it in place, or writes another one. */
function openOverFile(path: string, stats: Stats, options: OutputOptions): BlockTarget {
  const old = options.keepOld ? openOldFile(path) : undefined;
  if (old === undefined) return openFileTarget(path, { ...options, replaces: stats });
  try {
    const target = openFileTarget(path, { ...options, replaces: stats, base: old });
    if (target.held === undefined) {
      void target.discard();
      return openInPlaceTarget(path, old, options);
    }
    closeSync(old.descriptor);
    return target;
  } catch (error) {
    closeSync(old.descriptor);
    throw error;
  }
}

function openDescriptor(fd: number, options: OutputOptions): BlockTarget {
  const label = fd === 1 ? 'standard output' : `descriptor ${fd}`;
  const stats = fstatSync(fd);
  if (stats.isDirectory()) {
    throw new PipelineError('USAGE', { subject: label, reason: DIRECTORY_REFUSED });
  }
  if (stats.isBlockDevice()) return openDeviceTarget(fd, { ...options, label });
  return openStreamTarget(fd, { label, ...(options.signal && { signal: options.signal }) });
}

interface Destination {
  readonly path: string;
  /** Undefined if nothing is there. */
  readonly stats: Stats | undefined;
}

function followLinks(output: string): Destination {
  let path = output;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const stats = lstat(path);
    if (!stats?.isSymbolicLink()) return { path, stats };
    path = destinationOf(path);
  }
  throw systemFailure('open', 'ELOOP', output);
}

function destinationOf(link: string): string {
  try {
    // The text of a link counts from where its folder really is.
    return resolve(realpathSync(dirname(link)), readlinkSync(link));
  } catch (error) {
    throw systemFailure('follow link', error, link);
  }
}

function lstat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, path);
  }
}

/** Volumes of raw flash; their names are ubi0_1, the device they are on is ubi0. */
function isUbiVolume(path: string): boolean {
  const { rdevMajor, rdevMinor } = statPath(Buffer.from(path));
  return existsSync(`/sys/dev/char/${rdevMajor}:${rdevMinor}/reserved_ebs`);
}

function openUbiVolume(
  path: string,
  { size, label }: { readonly size: number; readonly label: string },
): BlockTarget {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  } catch (error) {
    throw systemFailure('open', error, label);
  }
  try {
    startVolumeUpdate(fd, size);
  } catch (error) {
    closeSync(fd);
    throw about(label, error);
  }
  return openStreamTarget(fd, { label, close: true });
}
