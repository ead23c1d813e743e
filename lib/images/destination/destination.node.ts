/**
 * A file or block device that is written in place (spec/images.md, "Destination"). What could go wrong
 * is found out before the first write.
 */
import {
  closeSync,
  constants,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { about } from '../../../formats/errors.ts';
import { PipelineError } from '../../errors.ts';
import { blockDeviceSize } from '../../os/block-device.node.ts';
import { statDescriptor } from '../../os/file-stat.node.ts';
import { punchHole } from '../../os/holes.node.ts';
import { tryLock } from '../../os/lock.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { writeFully, writeFullySync } from '../../os/write.node.ts';
import { deviceCounters } from './device-facts.node.ts';
import type { DestinationFacts, DestinationOptions, SizePolicy } from './image-update.ts';
import type { DestinationTraces, OpenedDestination } from './opened-destination.ts';

/** With the date of the content, by which a destination is recognised. */
const sync = promisify(fsync);
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
/** Larger pieces are written off the main thread. */
const LONGEST_AT_ONCE = 64 * 1024;
/** Shorter runs of zeros are written to devices: a command costs more than that. */
const SMALLEST_PUNCH = 64 * 1024;
const ZEROS = new Uint8Array(1 << 20);

/**
 * @param path symbolic links lead on
 * @throws PipelineError `TARGET_FULL` if the sizes do not fit, `UNSAFE_TARGET` for a device that is in
 * use or a file that another run is writing, `USAGE` for what is neither file nor device
 */
export function openDestination(path: string, options: DestinationOptions): OpenedDestination {
  const real = realPathOf(path);
  const stats = statOf(real, path);
  if (stats === undefined) {
    refuseInDeviceFolder(real, path);
    return new Destination({ path: real, label: path, kind: 'file', size: 0 }, options);
  }
  if (!stats.isFile() && !stats.isBlockDevice()) {
    const reason = 'neither a regular file nor a block device';
    throw new PipelineError('USAGE', { subject: path, step: 'open', reason });
  }
  const kind = stats.isFile() ? 'file' : 'device';
  const descriptor = openThere(real, { ...options, kind, label: path });
  try {
    if (!options.isDryRun && !tryLock(descriptor)) throw inUse(path, 'another run is writing it');
    const size =
      kind === 'file' ? statDescriptor(descriptor).size : blockDeviceSize(descriptor, path);
    return new Destination({ path: real, label: path, kind, size, descriptor }, options);
  } catch (error) {
    closeSync(descriptor);
    throw about(path, error);
  }
}

function inUse(subject: string, reason: string): PipelineError {
  return new PipelineError('UNSAFE_TARGET', { subject, step: 'open', reason });
}

/** Behind all links, also where the last name is not there yet. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw systemFailure('open', error, path);
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function statOf(real: string, label: string): Stats | undefined {
  try {
    return statSync(real);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, label);
  }
}

/** A device that is not there, or a wrong name, must not become a file that fills the memory. */
function refuseInDeviceFolder(real: string, label: string): void {
  const folder = `${dirname(real)}/`;
  if (!folder.startsWith('/dev/') || folder.startsWith('/dev/shm/')) return;
  throw inUse(label, 'there is no such device, and no files are made among devices');
}

interface Opening extends DestinationOptions {
  readonly kind: 'file' | 'device';
  readonly label: string;
}

function openThere(real: string, { kind, label, isDryRun, forceDevice }: Opening): number {
  const access = isDryRun ? O_RDONLY : O_RDWR;
  const exclusive = kind === 'device' && !isDryRun && !forceDevice ? O_EXCL : 0;
  try {
    return openSync(real, access | O_NOFOLLOW | O_NONBLOCK | exclusive);
  } catch (error) {
    if (kind === 'device' && errnoOf(error) === 'EBUSY') {
      throw inUse(
        label,
        'the device is mounted or held by somebody; --force-device writes all the same',
      );
    }
    throw systemFailure('open', error, label);
  }
}

interface Found {
  readonly path: string;
  readonly label: string;
  readonly kind: 'file' | 'device';
  readonly size: number;
  readonly descriptor?: number;
}

class Destination implements OpenedDestination {
  readonly path: string;
  readonly label: string;
  readonly kind: 'file' | 'device';
  readonly isNew: boolean;
  readonly size: number;
  readonly sectorSize: number;
  readonly imageSize: number | undefined;
  readonly keepsRest: boolean;
  descriptor: number | undefined;
  readonly #options: DestinationOptions;
  /** Behind it a file has nothing, so there are zeros without doing anything. */
  #end: number;
  #canPunch = true;

  constructor(found: Found, options: DestinationOptions) {
    this.path = found.path;
    this.label = found.label;
    this.kind = found.kind;
    this.size = found.size;
    this.#end = found.size;
    this.descriptor = found.descriptor;
    this.isNew = found.descriptor === undefined;
    this.sectorSize = this.kind === 'device' ? deviceCounters(this.#fd).sectorSize : 512;
    this.imageSize = imageSizeOn(this, options);
    this.keepsRest = keepsRest(this.kind, options.sizePolicy);
    this.#options = options;
  }

  get #fd(): number {
    if (this.descriptor === undefined) throw new Error('there is no file yet');
    return this.descriptor;
  }

  create(): number {
    this.descriptor ??= createFile(this.path, this.label);
    return this.descriptor;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#checkEnd(offset + bytes.length);
    try {
      if (bytes.length > LONGEST_AT_ONCE) await writeFully(this.#fd, bytes, offset);
      else writeFullySync(this.#fd, bytes, offset);
    } catch (error) {
      throw errnoOf(error) === undefined || error instanceof PipelineError
        ? about(this.label, error)
        : systemFailure('write', error, this.label);
    }
    this.#end = Math.max(this.#end, offset + bytes.length);
  }

  async zero(offset: number, length: number): Promise<boolean> {
    this.#checkEnd(offset + length);
    const { sparse = 'auto' } = this.#options;
    if (sparse !== 'never') {
      if (this.kind === 'file' && offset >= this.#end) return true;
      if (this.#punch(offset, length)) return true;
    }
    for (let done = 0; done < length; done += ZEROS.length) {
      await this.write(ZEROS.subarray(0, length - done), offset + done);
    }
    return false;
  }

  read(into: Uint8Array, offset: number): void {
    let done = 0;
    try {
      while (done < into.length) {
        const count = readSync(this.#fd, into, done, into.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw systemFailure('read', error, this.label);
    }
    into.fill(0, done);
  }

  resize(size: number): void {
    if (this.kind === 'device') return;
    try {
      ftruncateSync(this.#fd, size);
    } catch (error) {
      throw systemFailure('set length', error, this.label);
    }
    this.#end = size;
  }

  async sync(): Promise<void> {
    if (this.descriptor === undefined) return;
    try {
      await sync(this.descriptor);
    } catch (error) {
      throw systemFailure('sync', error, this.label);
    }
  }

  traces(): DestinationTraces {
    if (this.descriptor === undefined) {
      return { destinationSize: 0, mtimeNs: undefined, writeCount: undefined };
    }
    if (this.kind === 'device') {
      const { writeCount } = deviceCounters(this.descriptor);
      return { destinationSize: this.size, mtimeNs: undefined, writeCount };
    }
    const { size, mtimeNs } = statDescriptor(this.descriptor);
    return { destinationSize: size, mtimeNs, writeCount: undefined };
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
  }

  #checkEnd(end: number): void {
    if (this.kind === 'device' && end > this.size) throw tooSmall(this.label, end, this.size);
  }

  #punch(offset: number, length: number): boolean {
    if (!this.#canPunch) return false;
    if (this.kind === 'device') {
      const { discard = false, sparse = 'auto' } = this.#options;
      const smallest = discard || sparse === 'always' ? this.sectorSize : SMALLEST_PUNCH;
      if (length < smallest || (offset | length) % this.sectorSize !== 0) return false;
    }
    try {
      this.#canPunch = punchHole(this.#fd, offset, length);
    } catch (error) {
      throw about(this.label, error);
    }
    return this.#canPunch;
  }
}

function createFile(path: string, label: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
    // Its name is on disk before a map speaks of it.
    const folder = openSync(dirname(path), O_RDONLY);
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
    tryLock(descriptor);
    return descriptor;
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw systemFailure('create', error, label);
  }
}

function keepsRest(kind: 'file' | 'device', policy: SizePolicy | undefined): boolean {
  return kind === 'device' || policy === 'larger-ok' || policy === 'common';
}

/** @throws PipelineError `TARGET_FULL` if the policy does not allow what there is */
function imageSizeOn(
  { kind, size, label, isNew }: DestinationFacts & { readonly label: string },
  { size: wanted, sizePolicy = kind === 'file' ? 'resize' : 'exact' }: DestinationOptions,
): number | undefined {
  if (wanted === undefined) {
    if (sizePolicy === 'common' || (kind === 'device' && sizePolicy !== 'larger-ok')) {
      const reason = 'the size of a stream is not known before its end';
      const wayOut = kind === 'device' ? '; --size=larger-ok takes what comes' : '';
      throw new PipelineError('TARGET_FULL', {
        subject: label,
        step: 'open',
        reason: reason + wayOut,
      });
    }
    return undefined;
  }
  if (sizePolicy === 'common') return isNew ? wanted : Math.min(size, wanted);
  if (isNew || size === wanted) return wanted;
  if (sizePolicy === 'exact' && kind === 'file') {
    throw mismatch(label, `the image has ${wanted} bytes, the file has ${size}`, 'resize');
  }
  if (size < wanted && (kind === 'device' || sizePolicy === 'larger-ok')) {
    throw tooSmall(label, wanted, size);
  }
  if (kind === 'device' && sizePolicy !== 'larger-ok') {
    throw mismatch(label, `the image has ${wanted} bytes, the device has ${size}`, 'larger-ok');
  }
  return wanted;
}

function mismatch(subject: string, reason: string, policy: SizePolicy): PipelineError {
  const text = `${reason}; --size=${policy} takes it all the same`;
  return new PipelineError('TARGET_FULL', { subject, step: 'compare sizes', reason: text });
}

function tooSmall(subject: string, wanted: number, size: number): PipelineError {
  const reason = `the image has ${wanted} bytes, here is room for ${size}`;
  return new PipelineError('TARGET_FULL', { subject, step: 'compare sizes', reason });
}
