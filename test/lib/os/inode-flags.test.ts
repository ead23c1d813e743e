import { execFileSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { fileSystemType } from '../../../lib/os/file-system.node.ts';
import {
  CHATTR_FEATURES,
  FAT_FEATURES,
  fatAttributesOfFeatures,
  featuresOfFatAttributes,
  featuresOfInodeFlags,
  inodeFlagsOfFeatures,
  SUBVOLUME_FEATURE,
  SUBVOLUME_READ_ONLY_FEATURE,
} from '../../../lib/os/inode-flag-bits.ts';
import {
  createSubvolume,
  getFatAttributes,
  getInodeFlags,
  getProjectId,
  isSubvolume,
  isSubvolumeReadOnly,
  setFatAttributes,
  setInodeFlags,
  setProjectId,
  setSubvolumeReadOnly,
} from '../../../lib/os/inode-flags.node.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import type { temporaryFolder } from '../../helpers/temporary-folder.ts';

type Test = Parameters<typeof temporaryFolder>[0];

function open(t: Test, path: string): number {
  const fd = openSync(path, 'r');
  t.teardown(() => closeSync(fd));
  return fd;
}

test('every flag feature has one native bit, and back', (t) => {
  const names = Object.entries(FEATURE).filter(([name]) => name.startsWith('flag'));
  t.is(names.length, 13);
  t.is(
    BigInt(CHATTR_FEATURES | FAT_FEATURES),
    names.reduce((sum, [, bit]) => sum | bit, 0n),
  );
  for (const bit of names.map(([, value]) => Number(value))) {
    const native = inodeFlagsOfFeatures(bit) | fatAttributesOfFeatures(bit);
    t.is(Math.clz32(native & (native - 1)), 32, 'one bit');
    t.is(
      (bit & FAT_FEATURES) === 0 ? featuresOfInodeFlags(native) : featuresOfFatAttributes(native),
      bit,
    );
  }
  t.is(BigInt(SUBVOLUME_FEATURE), FEATURE.subvolume);
  t.is(BigInt(SUBVOLUME_READ_ONLY_FEATURE), FEATURE.subvolumeReadOnly);
});

test('flags that are set are what lsattr shows', (t) => {
  if (!requirement(t, { root: true, commands: ['lsattr', 'mkfs.ext4'] })) return;
  const path = join(loopMount(t, 'ext4'), 'file');
  writeFileSync(path, '');
  const fd = open(t, path);
  const features = Number(FEATURE.flagNoatime | FEATURE.flagNodump | FEATURE.flagAppend);
  const wanted = inodeFlagsOfFeatures(features);
  const all = inodeFlagsOfFeatures(CHATTR_FEATURES);
  setInodeFlags(fd, all, wanted);
  t.is(featuresOfInodeFlags(getInodeFlags(fd) ?? 0), features);
  t.regex(execFileSync('lsattr', [path]).toString(), /^-----adA/);
  setInodeFlags(fd, wanted, 0);
  t.is(featuresOfInodeFlags(getInodeFlags(fd) ?? 0), 0);
});

test('a file system without flags reads as undefined and refuses to set', (t) => {
  const fd = open(t, '/proc/version');
  t.is(getInodeFlags(fd), undefined);
  t.is(getFatAttributes(fd), undefined);
  t.is(getProjectId(fd), undefined);
  t.false(isSubvolumeReadOnly(fd));
  for (const set of [setInodeFlags, setFatAttributes]) {
    t.throws(() => set(fd, 1, 1), { code: 'UNSUPPORTED', message: /has no such thing/ });
  }
  t.throws(() => setProjectId(fd, 1), { code: 'UNSUPPORTED' });
});

test('project ids are kept on XFS', (t) => {
  if (!requirement(t, loopMountNeeds('xfs'))) return;
  const path = join(loopMount(t, 'xfs'), 'file');
  writeFileSync(path, '');
  const fd = open(t, path);
  t.is(getProjectId(fd), 0);
  setProjectId(fd, 4_000_000_000);
  t.is(getProjectId(fd), 4_000_000_000);
});

test('btrfs subvolumes are made, known and made read-only', (t) => {
  if (!requirement(t, loopMountNeeds('btrfs'))) return;
  const mounted = loopMount(t, 'btrfs');
  const top = open(t, mounted);
  createSubvolume(top, Buffer.from('volume'));
  const volume = open(t, join(mounted, 'volume'));
  const { ino } = lstatSync(join(mounted, 'volume'), { bigint: true });
  t.true(isSubvolume(fileSystemType(volume), ino));
  t.false(isSubvolumeReadOnly(volume));
  setSubvolumeReadOnly(volume, true);
  t.true(isSubvolumeReadOnly(volume));
  t.throws(() => writeFileSync(join(mounted, 'volume/x'), ''), { code: 'EROFS' });
  setSubvolumeReadOnly(volume, false);
  t.false(isSubvolumeReadOnly(volume));
});

test('a subvolume elsewhere is refused', (t) => {
  const fd = open(t, '/dev/shm');
  t.throws(() => createSubvolume(fd, Buffer.from('x')), { code: 'UNSUPPORTED' });
});
