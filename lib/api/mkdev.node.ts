/** `mkdev` of the library: a blob as a block device of the kernel (spec/api.md, "mkdev"; spec/nbd.md). */
import { fsync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CasError, isCasError } from '../../formats/errors.ts';
import { nbdExportFlags } from '../../formats/nbd-options.ts';
import { abortedError } from '../errors.ts';
import { devicePath, type NbdSystem, nbdSystem } from '../os/nbd-device.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { createFailureReports } from '../serve/failure-reports.ts';
import type { BlockExport } from '../serve/nbd/block-export.ts';
import { forgetName, publishName } from '../serve/nbd/device-name.node.ts';
import {
  type DeviceNode,
  deviceNodeOf,
  linkedDevice,
  makeLink,
  refuseTaken,
  removeLink,
} from '../serve/nbd/device-node.node.ts';
import {
  type AttachedDevice,
  attachDevice,
  isAbsentDevice,
  SECTOR_SIZE,
} from '../serve/nbd/kernel-device.node.ts';
import { serveKernel } from '../serve/nbd/kernel-transmission.node.ts';
import { padToBlocks } from '../serve/nbd/padded-export.ts';
import { type UdevWatch, untilForgotten, watchUdev } from '../serve/nbd/udev.node.ts';
import { openJobPool } from '../work/job-pool.node.ts';
import { type BlockExportOptions, openBlockExport } from './block-export.node.ts';

const HINT =
  "'modprobe nbd' brings the devices where the kernel has them; 'casync serve-nbd' works without";
/** A signal ends us soon also where a server does not answer. */
const LONGEST_WRITE_BACK_MS = 10_000;

export interface MkdevOptions extends Omit<BlockExportOptions, 'kind' | 'readAhead'> {
  readonly kind: 'blob' | 'blob-index';
  /** `/dev/nbdN`, a friendly name `/dev/NAME`, or the path of a symbolic link to make; none by default. */
  readonly node?: string;
  /** Told of failures of single requests; the device goes on. */
  readonly onFailure?: (error: unknown) => void;
}

export interface MkdevResult {
  /** `/dev/nbdN`. */
  readonly device: string;
  /** What was asked for, else the device. */
  readonly node: string;
  /** Settles when the device is gone and nothing is left. @throws CasError if its connection broke */
  readonly ended: Promise<void>;
  /** Takes the device away. */
  close(): Promise<void>;
}

/**
 * Attaches a blob as a block device; resolves when the device and its nodes are there.
 * @throws CasError, and nothing is left
 */
export async function mkdev(options: MkdevOptions): Promise<MkdevResult> {
  const node = deviceNodeOf(options.node);
  const device = await openBlockExport(options, (blob) => padToBlocks(blob, SECTOR_SIZE));
  try {
    return await present(nbdSystem(), node, device, options);
  } catch (error) {
    await device.close();
    if (!isCasError(error) || error.code === 'ABORTED') throw error;
    throw notOpened(error);
  }
}

function notOpened(cause: CasError): CasError {
  const subject = 'Failed to open NBD device';
  const reason = isAbsentDevice(cause) ? `${cause.reason} (${HINT})` : cause.message;
  return new CasError(cause.code, { subject, reason, cause });
}

async function present(
  system: NbdSystem,
  node: DeviceNode,
  device: BlockExport,
  options: MkdevOptions,
): Promise<MkdevResult> {
  const { signal, onFailure: tell = () => {} } = options;
  const onFailure = createFailureReports({ tell });
  const isWritable = device.writer !== undefined;
  let udev: UdevWatch | undefined;
  const attached = await attachDevice(system, {
    ...(node.kind === 'device' ? { number: node.number } : {}),
    ...(signal === undefined ? {} : { signal }),
    size: device.size,
    flags: nbdExportFlags({ isWritable }),
    async onClaimed(number) {
      if ('path' in node) refuseTaken(node.path, (other) => system.isConnected(other));
      forgetName(number);
      udev = watchUdev(number);
      return node.kind === 'name' ? publishName(number, node.name) : () => {};
    },
    serve: (socket) => serveKernel(socket, device, onFailure),
    hold: holdOnThread,
  });
  const unlink = (): void => {
    if ('path' in node) removeLink(node.path, attached.number);
  };
  const atExit = (): void => {
    attached.detach();
    unlink();
  };
  process.on('exit', atExit);
  const ended = attached.ended.finally(async () => {
    if (node.kind === 'name') await untilForgotten(() => linkedDevice(node.path) !== undefined);
    unlink();
    process.off('exit', atExit);
    await device.close();
  });
  ended.catch(() => {});
  try {
    await makeNodes(node, attached, udev, signal);
  } catch (error) {
    attached.detach();
    await ended.catch(() => {});
    throw error;
  }
  return resultOf(node, attached, { ended, unlink, isWritable });
}

/** Partitions are found, and udev has given its links, when others learn of the device. */
async function makeNodes(
  node: DeviceNode,
  { number }: AttachedDevice,
  udev: UdevWatch | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  // The kernel looks for partitions when the device is opened.
  const opened = await open(devicePath(number), 'r').catch((error: unknown) => {
    throw systemFailure('open', error, devicePath(number));
  });
  await opened.close();
  const isLinked = (): boolean => node.kind !== 'name' || linkedDevice(node.path) === number;
  const isDone = await udev?.until(isLinked, signal === undefined ? {} : { signal });
  if (signal?.aborted) throw abortedError();
  const isMissing = node.kind === 'link' || (node.kind === 'name' && isDone !== true);
  if (isMissing) makeLink(node.path, number);
}

interface Presented {
  readonly ended: Promise<void>;
  readonly unlink: () => void;
  readonly isWritable: boolean;
}

function resultOf(
  node: DeviceNode,
  attached: AttachedDevice,
  { ended, unlink, isWritable }: Presented,
): MkdevResult {
  const device = devicePath(attached.number);
  return {
    device,
    node: 'path' in node ? node.path : device,
    ended,
    async close() {
      if (node.kind === 'link') unlink();
      if (isWritable) await writeBack(attached.descriptor);
      attached.detach();
      await ended;
    },
  };
}

/** What the kernel has not written yet is lost with the device. */
async function writeBack(device: number): Promise<void> {
  const synced = new Promise<void>((resolve) => fsync(device, () => resolve()));
  const limit = new AbortController();
  const { signal } = limit;
  await Promise.race([synced, sleep(LONGEST_WRITE_BACK_MS, undefined, { signal }).catch(() => {})]);
  limit.abort();
}

/** A thread of its own stays in the kernel; everything else must go on meanwhile. */
async function holdOnThread(device: number): Promise<number> {
  const pool = openJobPool({}, 1, { helps: false });
  try {
    pool.start();
    return await pool.run('holdDevice', { device });
  } finally {
    await pool.close();
  }
}
