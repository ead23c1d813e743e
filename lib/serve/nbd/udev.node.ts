/**
 * Waiting until udev has seen a block device, so that its links are there when others are told of it
 * (spec/nbd.md, "Kernel devices"). Used by mkdev.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SignalOption } from '../../../store/backend.ts';

const RUN_FOLDER = '/run/udev';
const LOOK_MS = 5;
/** An event takes some ten milliseconds; what is not there after this long does not come any more. */
const LONGEST_WAIT_MS = 30_000;
/** When udev has nothing to do any more, what was to come has come, but for the end of an older event. */
const LONGEST_REST_MS = 1000;

/** Whether udev runs here. */
function isRunning(): boolean {
  return existsSync(`${RUN_FOLDER}/control`);
}

/** Whether udev has events to work on. */
function isBusy(): boolean {
  return existsSync(`${RUN_FOLDER}/queue`);
}

export interface UdevWatch {
  /**
   * Resolves to true when udev is done with an event of the device that came after the begin of the
   * watch, and `isThere` says so, too; to false without udev, or if that takes too long.
   */
  until(isThere: () => boolean, options?: SignalOption): Promise<boolean>;
}

/** @param number of a network block device */
export function watchUdev(number: number): UdevWatch {
  const record = `${RUN_FOLDER}/data/b${majorAndMinor(number)}`;
  const before = versionOf(record);
  // Udev writes what it knows of a device anew with each event.
  const isSeen = (): boolean => ![undefined, before].includes(versionOf(record));
  return {
    until: (isThere, options) => waitUntil(() => isSeen() && !isBusy() && isThere(), options),
  };
}

function majorAndMinor(number: number): string {
  try {
    return readFileSync(`/sys/block/nbd${number}/dev`, 'latin1').trim();
  } catch {
    // Nothing will ever be known of it.
    return '';
  }
}

function versionOf(record: string): string | undefined {
  const stats = lstatSync(record, { throwIfNoEntry: false, bigint: true });
  return stats && `${stats.ino} ${stats.mtimeNs}`;
}

/** Resolves to true when udev has taken away a link to a device that is gone. */
export function untilForgotten(isThere: () => boolean): Promise<boolean> {
  return waitUntil(() => !isThere());
}

async function waitUntil(isDone: () => boolean, { signal }: SignalOption = {}): Promise<boolean> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  let restSince = performance.now();
  while (!isDone()) {
    const now = performance.now();
    if (isBusy()) restSince = now;
    const isHopeless = !isRunning() || now > restSince + LONGEST_REST_MS || now > deadline;
    if (isHopeless || signal?.aborted) return false;
    await sleep(LOOK_MS);
  }
  return true;
}
