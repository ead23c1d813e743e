/** File systems of other kinds for tests: an image in a temporary folder, mounted through a loop device. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Requirements } from './requirements.ts';
import { temporaryFolder } from './temporary-folder.ts';

const IMAGE_BYTES = 400 * 1024 * 1024;

/** What a test needs to call {@link loopMount}. */
export function loopMountNeeds(type: 'xfs' | 'btrfs' | 'ext4'): Requirements {
  return { root: true, commands: [`mkfs.${type}`, 'mount', 'umount'] };
}

/** Mounts a new file system; it is gone after the test. @returns the mount point */
export function loopMount(t: ExecutionContext<unknown>, type: 'xfs' | 'btrfs' | 'ext4'): string {
  const folder = temporaryFolder(t);
  const image = join(folder, 'image');
  const mountPoint = join(folder, 'mounted');
  writeFileSync(image, '');
  truncateSync(image, IMAGE_BYTES);
  mkdirSync(mountPoint);
  execFileSync(`mkfs.${type}`, ['-q', image], { stdio: 'ignore' });
  execFileSync('mount', ['-o', 'loop', image, mountPoint]);
  t.teardown(() => {
    execFileSync('umount', [mountPoint]);
  });
  return mountPoint;
}
