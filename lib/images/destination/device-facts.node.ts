/** What the kernel says of a block device: who it is, and how often it was written to. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { statDescriptor } from '../../os/file-stat.node.ts';

const USUAL_SECTOR = 512;

interface DeviceCounters {
  /** Bytes that it writes at once. */
  readonly sectorSize: number;
  /** Rises with everything that is written or discarded until the machine stops. */
  readonly writeCount: bigint | undefined;
}

export function deviceCounters(descriptor: number): DeviceCounters {
  const folder = folderOf(descriptor);
  const sectorSize = Number(textIn(diskOf(folder), 'queue/logical_block_size') ?? USUAL_SECTOR);
  const fields = textIn(folder, 'stat')?.split(/\s+/);
  // Written: requests and sectors; discarded likewise, where the kernel counts them.
  const counted = [4, 6, 11, 13].map((field) => fields?.[field]);
  if (fields === undefined || counted[0] === undefined)
    return { sectorSize, writeCount: undefined };
  const writeCount = counted.reduce((sum, text) => sum + BigInt(text ?? 0), 0n);
  return { sectorSize, writeCount };
}

/**
 * What tells a device from all others, in words: not its number, which another one may get. At best
 * what its maker has written into it, else where it comes from.
 */
export function deviceIdentity(descriptor: number): string {
  const folder = folderOf(descriptor);
  const disk = diskOf(folder);
  const identity = diskIdentity(disk);
  if (disk === folder) return identity;
  const words = ['partition', 'start', 'size'].map((name) => textIn(folder, name) ?? '?');
  return `${identity} part ${words.join(' ')}`;
}

function diskIdentity(disk: string): string {
  const loop = textIn(disk, 'loop/backing_file');
  if (loop !== undefined) return `loop ${loopFile(loop)} at ${textIn(disk, 'loop/offset') ?? 0}`;
  for (const name of ['dm/uuid', 'md/uuid', 'wwid', 'device/wwid', 'serial', 'device/serial']) {
    const text = textIn(disk, name);
    if (text) return `${name.replace('device/', '').replace('/', ' ')} ${text}`;
  }
  return `name ${basename(disk)}`;
}

/** The path of a file may be that of another one later. */
function loopFile(path: string): string {
  try {
    const { ino, birthtimeNs } = statSync(path, { bigint: true });
    return `${path} ${ino}.${birthtimeNs}`;
  } catch {
    return path;
  }
}

function folderOf(descriptor: number): string {
  const { rdevMajor, rdevMinor } = statDescriptor(descriptor);
  const link = `/sys/dev/block/${rdevMajor}:${rdevMinor}`;
  try {
    return realpathSync(link);
  } catch {
    return link;
  }
}

/** The disk that a partition is on. */
function diskOf(folder: string): string {
  return textIn(folder, 'partition') === undefined ? folder : dirname(folder);
}

function textIn(folder: string, name: string): string | undefined {
  try {
    const text = readFileSync(join(folder, name), 'latin1').trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}
