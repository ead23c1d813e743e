/** A block device for tests: a file through a loop device. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Requirements } from './requirements.ts';

/** What a test needs to call {@link loopDevice}. */
export const LOOP_DEVICE_NEEDS: Requirements = { root: true, commands: ['losetup'] };

/** Makes a device of a file; it is gone after the test. @returns its path */
export function loopDevice(t: ExecutionContext<unknown>, file: string): string {
  const device = execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
  t.teardown(() => {
    execFileSync('losetup', ['-d', device]);
  });
  return device;
}

/** Sectors of 512 bytes that were read and written so far. */
export function deviceSectors(device: string): { readonly read: number; readonly written: number } {
  const fields = readFileSync(`/sys/class/block/${basename(device)}/stat`, 'utf8')
    .trim()
    .split(/\s+/);
  return { read: Number(fields[2]), written: Number(fields[6]) };
}
