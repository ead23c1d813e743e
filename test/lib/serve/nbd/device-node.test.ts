/** NODE of mkdev, the links made of it, and the names that udev learns. */
import { spawnSync } from 'node:child_process';
import { existsSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openBytesBlob } from '../../../../lib/read/bytes-blob.ts';
import { publishedName, publishName } from '../../../../lib/serve/nbd/device-name.node.ts';
import {
  deviceNodeOf,
  makeLink,
  refuseTaken,
  removeLink,
} from '../../../../lib/serve/nbd/device-node.node.ts';
import { padToBlocks } from '../../../../lib/serve/nbd/padded-export.ts';
import { requirement } from '../../../helpers/requirements.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

test('a node is a device, a name in /dev, or the path of a link', (t) => {
  t.deepEqual(deviceNodeOf(undefined), { kind: 'any' });
  t.deepEqual(deviceNodeOf('/dev/nbd7'), { kind: 'device', number: 7 });
  t.deepEqual(deviceNodeOf('/dev/disk'), { kind: 'name', name: 'disk', path: '/dev/disk' });
  for (const path of ['/dev/mapper/a', 'disk', '/tmp/nbd1', '/dev']) {
    t.deepEqual(deviceNodeOf(path), { kind: 'link', path });
  }
});

test('there are 1024 devices', (t) => {
  t.deepEqual(deviceNodeOf('/dev/nbd1023'), { kind: 'device', number: 1023 });
  t.throws(() => deviceNodeOf('/dev/nbd1024'), { message: /No such device/ });
});

test('what cannot be a name is refused', (t) => {
  for (const path of ['/dev/..', '/dev/.', '/dev/a\nb', `/dev/${'x'.repeat(256)}`]) {
    t.throws(() => deviceNodeOf(path), { message: /Not a name/ });
  }
});

test('a link to a device that nobody serves is replaced, anything else stays', (t) => {
  const path = join(temporaryFolder(t), 'link');
  refuseTaken(path, () => true);
  symlinkSync('/dev/nbd3', path);
  t.throws(() => refuseTaken(path, (number) => number === 3), { message: /File exists/ });
  refuseTaken(path, () => false);
  makeLink(path, 5);
  t.is(readlinkSync(path), '/dev/nbd5');
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  t.throws(() => refuseTaken(file, () => false), { message: /File exists/ });
});

test('a link is removed only by whose device it leads to', (t) => {
  const path = join(temporaryFolder(t), 'link');
  makeLink(path, 5);
  removeLink(path, 4);
  t.is(readlinkSync(path), '/dev/nbd5');
  removeLink(path, 5);
  t.false(existsSync(path));
});

test('a name is published for as long as its process wants', async (t) => {
  const folder = join(temporaryFolder(t), 'names');
  const remove = await publishName(3, 'disk', folder);
  t.is(publishedName('/dev/nbd3', folder), 'disk');
  remove();
  t.is(publishedName('/dev/nbd3', folder), undefined);
  t.false(existsSync(join(folder, 'nbd3')));
});

test('a device whose name file is locked belongs to somebody else', async (t) => {
  const folder = temporaryFolder(t);
  const remove = await publishName(3, 'disk', folder);
  await t.throwsAsync(publishName(3, 'other', folder), { message: /resource busy/ });
  t.is(publishedName('/dev/nbd3', folder), 'disk');
  remove();
});

test('the name of a process that was killed is none, and may be used again', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'nbd3'), 'a longer name than the next\n');
  t.is(publishedName('/dev/nbd3', folder), undefined);
  const remove = await publishName(3, 'disk', folder);
  t.is(publishedName('/dev/nbd3', folder), 'disk');
  remove();
});

test('the helper of the original finds our names', async (t) => {
  if (!requirement(t, { root: true, commands: ['casync'] })) return;
  const remove = await publishName(1000, 'a name');
  const { stdout, status } = spawnSync('casync', ['udev', '/dev/nbd1000']);
  remove();
  t.deepEqual([stdout.toString(), status], ['CASYNC_NAME=a name\n', 0]);
});

test('what is no path of a device has no name', (t) => {
  for (const path of ['nbd0', '/dev/', '/dev/../nbd0', '/tmp/nbd0', '']) {
    t.throws(() => publishedName(path), { message: /not a valid device node path/ });
  }
});

test('a blob is filled up with zeros to whole blocks', async (t) => {
  const bytes = Uint8Array.from({ length: 700 }, (_, i) => (i % 255) + 1);
  const padded = padToBlocks(openBytesBlob(bytes, 'blob'), 512);
  const whole = Buffer.concat([bytes, new Uint8Array(324)]);
  t.is(padded.size, 1024);
  for (const [offset, length] of [
    [0, 1024],
    [600, 200],
    [700, 324],
    [0, 700],
    [699, 2],
    [1020, 9],
  ]) {
    const { pieces, length: got } = await padded.read({ offset, length });
    t.deepEqual(Buffer.concat(pieces), whole.subarray(offset, offset + length));
    t.is(got, Math.min(length, 1024 - offset));
  }
});

test('a blob of whole blocks stays what it is', (t) => {
  const blob = openBytesBlob(new Uint8Array(1024), 'blob');
  t.is(padToBlocks(blob, 512), blob);
});
