/** Facts about block devices. Used by whatever reads or writes one. */
import { readFileSync } from 'node:fs';
import { statDescriptor } from './file-stat.node.ts';
import { systemFailure } from './system-error.node.ts';

const SECTOR_SIZE = 512;

/** Bytes of a block device. @param fd of the device. @throws PipelineError */
export function blockDeviceSize(fd: number, label: string): number {
  const { rdevMajor, rdevMinor } = statDescriptor(fd);
  try {
    const sectors = readFileSync(`/sys/dev/block/${rdevMajor}:${rdevMinor}/size`, 'latin1');
    return Number.parseInt(sectors, 10) * SECTOR_SIZE;
  } catch (error) {
    throw systemFailure('determine size of block device', error, label);
  }
}
