/**
 * What the last word of mkdev means, and the symbolic link that may be made of it (spec/nbd.md, "Kernel
 * devices"). A link that a killed process has left is used again.
 */
import { lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PipelineError } from '../../errors.ts';
import { devicePath, MOST_DEVICES } from '../../os/nbd-device.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';

export type DeviceNode =
  /** The first free device. */
  | { readonly kind: 'any' }
  | { readonly kind: 'device'; readonly number: number }
  /** A name in /dev, which udev gives to the device. */
  | { readonly kind: 'name'; readonly name: string; readonly path: string }
  | { readonly kind: 'link'; readonly path: string };

const DEVICE = /^\/dev\/nbd(0|[1-9]\d*)$/;
const NAME = /^\/dev\/([^/]+)$/;
const FIT_NAME = /^(?!\.{1,2}$)[^/\p{Cc}]+$/u;
const LONGEST_NAME = 255;

/** @throws CasError for what cannot be a node */
export function deviceNodeOf(path: string | undefined): DeviceNode {
  if (path === undefined) return { kind: 'any' };
  const number = deviceNumber(path);
  if (number !== undefined) {
    if (number < MOST_DEVICES) return { kind: 'device', number };
    throw systemFailure('open', 'ENODEV', path);
  }
  const name = NAME.exec(path)?.[1];
  if (name === undefined) return { kind: 'link', path };
  if (isDeviceName(name)) return { kind: 'name', name, path };
  throw new PipelineError('USAGE', { subject: path, reason: 'Not a name for a device.' });
}

/** Whether something in /dev can be called so. */
export function isDeviceName(name: string): boolean {
  return FIT_NAME.test(name) && Buffer.byteLength(name) <= LONGEST_NAME;
}

/** The device that a path leads to, if it is a link to one. */
export function linkedDevice(path: string): number | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined;
  return deviceNumber(resolve(dirname(path), readlinkSync(path)));
}

/**
 * Checks that a node can be made: nothing has its name, or a link to a device that nobody serves.
 * @throws CasError `EEXIST`
 */
export function refuseTaken(path: string, isConnected: (number: number) => boolean): void {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const device = linkedDevice(path);
  const isStale = device !== undefined && !isConnected(device);
  if (isThere && !isStale) throw systemFailure('create', 'EEXIST', path);
}

/** Makes the link, in place of a stale one. @throws CasError */
export function makeLink(path: string, number: number): void {
  try {
    if (linkedDevice(path) !== undefined) rmSync(path, { force: true });
    symlinkSync(devicePath(number), path);
  } catch (error) {
    throw systemFailure('create', error, path);
  }
}

/** Removes the link to a device if it is still one to this device. */
export function removeLink(path: string, number: number): void {
  if (linkedDevice(path) === number) rmSync(path, { force: true });
}

function deviceNumber(path: string): number | undefined {
  const digits = DEVICE.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
