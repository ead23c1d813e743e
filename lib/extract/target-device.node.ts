/** Blob output to a block device, in place: what lies behind the blob on the device stays. */
import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { about } from '../../formats/errors.ts';
import { PipelineError } from '../errors.ts';
import { blockDeviceSize } from '../os/block-device.node.ts';
import { punchHole } from '../os/holes.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { writeFully } from '../os/write.node.ts';
import { isZero } from './sparse.node.ts';
import { type BlockTarget, NO_COUNTS, type TargetCounts, type TargetOptions } from './target.ts';
import { openUpdateTarget } from './target-update.node.ts';

const SECTOR_SIZE = 512;
/** Shorter runs of zeros are written: a command to the device costs more than that. */
const SMALLEST_PUNCH = 64 * 1024;
const ZEROS = new Uint8Array(1 << 20);

/**
 * @param device path, or a descriptor open for writing, which is not closed.
 * @param options.keepOld write only what differs from what the device holds; a descriptor must be open
 * for reading, too, then
 * @throws PipelineError `TARGET_FULL` if the device is too small, before anything is written
 */
export function openDeviceTarget(
  device: string | number,
  options: TargetOptions & { readonly label: string; readonly keepOld?: boolean },
): BlockTarget {
  const { label, size, keepOld = false } = options;
  const fd = typeof device === 'number' ? device : openPath(device, label);
  try {
    checkSize(fd, options.size, label);
  } catch (error) {
    if (typeof device === 'string') closeSync(fd);
    throw error;
  }
  const target = new DeviceTarget(fd, { ...options, close: typeof device === 'string' });
  return keepOld ? openUpdateTarget(target, { descriptor: fd, size }) : target;
}

interface DeviceOptions extends TargetOptions {
  readonly label: string;
  readonly close: boolean;
}

class DeviceTarget implements BlockTarget {
  readonly label: string;
  #holeBytes = 0;
  readonly #fd: number;
  readonly #close: boolean;
  #canPunch: boolean;
  #open = true;

  constructor(fd: number, options: DeviceOptions) {
    this.label = options.label;
    this.#fd = fd;
    this.#close = options.close;
    this.#canPunch = options.punchHoles ?? true;
  }

  get counts(): TargetCounts {
    return { ...NO_COUNTS, holeBytes: this.#holeBytes };
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    if (bytes.length >= SMALLEST_PUNCH && isZero(bytes) && this.#punch(offset, bytes.length))
      return;
    try {
      await writeFully(this.#fd, bytes, offset);
    } catch (error) {
      throw about(this.label, error);
    }
  }

  async zero(offset: number, length: number): Promise<void> {
    if (this.#punch(offset, length)) return;
    for (let done = 0; done < length; done += ZEROS.length) {
      try {
        await writeFully(this.#fd, ZEROS.subarray(0, length - done), offset + done);
      } catch (error) {
        throw about(this.label, error);
      }
    }
  }

  async commit(): Promise<void> {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      throw systemFailure('sync', error, this.label);
    }
    await this.discard();
  }

  async discard(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    if (this.#close) closeSync(this.#fd);
  }

  /** Lets the device make the zeros itself; many can do that without writing. */
  #punch(offset: number, length: number): boolean {
    if (!this.#canPunch) return false;
    if (offset % SECTOR_SIZE !== 0 || length % SECTOR_SIZE !== 0) return false;
    try {
      this.#canPunch = punchHole(this.#fd, offset, length);
    } catch (error) {
      throw about(this.label, error);
    }
    if (this.#canPunch) this.#holeBytes += length;
    return this.#canPunch;
  }
}

function openPath(path: string, label: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    throw systemFailure('open', error, label);
  }
}

function checkSize(fd: number, size: number, label: string): void {
  const available = blockDeviceSize(fd, label);
  if (size <= available) return;
  const reason = `the blob has ${size} bytes, the device has ${available}`;
  throw new PipelineError('TARGET_FULL', { subject: label, step: 'write', reason });
}
