/**
 * The friendly name of a block device of ours, as udev learns it: from a locked file (spec/nbd.md,
 * "Kernel devices"). The file of a killed process is not locked any more, so its name is gone with it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '../../errors.ts';
import { tryLock } from '../../os/lock.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { isDeviceName } from './device-node.node.ts';

/** Folder of these files. */
const NAME_FOLDER = '/run/casync';
const IN_DEV = /^\/dev\/([^/]+)$/;
/** The helper of udev may look at a file, and has it locked for that long. */
const LOCK_TRIES = 20;
const LOCK_WAIT_MS = 5;

/**
 * Tells udev's helper the name of a device, for as long as we live.
 * @returns takes the name away
 * @throws CasError
 */
export async function publishName(
  number: number,
  name: string,
  folder = NAME_FOLDER,
): Promise<() => void> {
  const path = `${folder}/nbd${number}`;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const descriptor = await lockedFile(path);
  const remove = (): void => {
    rmSync(path, { force: true });
    closeSync(descriptor);
  };
  try {
    ftruncateSync(descriptor);
    writeSync(descriptor, `${name}\n`);
    return remove;
  } catch (error) {
    remove();
    throw systemFailure('write', error, path);
  }
}

/** @throws CasError `EBUSY` if another process has the file, and the device with it */
async function lockedFile(path: string): Promise<number> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  for (let tries = 1; tries <= LOCK_TRIES; tries++) {
    let descriptor: number;
    try {
      descriptor = openSync(path, flags, 0o644);
    } catch (error) {
      throw systemFailure('open', error, path);
    }
    const isOurs = tryLock(descriptor) && isStillThere(path, descriptor);
    if (isOurs) return descriptor;
    closeSync(descriptor);
    await sleep(LOCK_WAIT_MS);
  }
  throw systemFailure('lock', 'EBUSY', path);
}

function isStillThere(path: string, descriptor: number): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(descriptor).ino;
}

/** Removes what a killed process may have left of a device that is ours now. */
export function forgetName(number: number, folder = NAME_FOLDER): void {
  rmSync(`${folder}/nbd${number}`, { force: true });
}

/**
 * The name of a device, as a process that lives has published it.
 * @param devicePath in /dev
 * @throws CasError if the path or the name is none
 */
export function publishedName(devicePath: string, folder = NAME_FOLDER): string | undefined {
  const device = IN_DEV.exec(devicePath)?.[1];
  if (device === undefined || !isDeviceName(device)) {
    const reason = `Argument is not a valid device node path: ${devicePath}.`;
    throw new PipelineError('USAGE', { reason });
  }
  const text = textIfLocked(`${folder}/${device}`);
  if (text === undefined) return undefined;
  if (!text.endsWith('\n')) {
    throw new PipelineError('USAGE', { reason: 'Stored name not newline terminated.' });
  }
  const name = text.slice(0, -1);
  if (isDeviceName(name)) return name;
  throw new PipelineError('USAGE', { reason: `Stored name is invalid: ${name}` });
}

function textIfLocked(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, path);
  }
  try {
    if (tryLock(descriptor, 'shared')) return undefined;
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
