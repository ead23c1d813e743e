import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { listDirectory } from '../../../lib/os/directory.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

function opened(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = temporaryFolder(t);
  const fd = openSync(folder, 'r');
  t.teardown(() => closeSync(fd));
  return { folder, fd };
}

test('names come in the order of their bytes, each with its type', (t) => {
  const { folder, fd } = opened(t);
  mkdirSync(join(folder, 'b'));
  symlinkSync('b', join(folder, 'ä'));
  execFileSync('mkfifo', [join(folder, 'b-')]);
  for (const name of ['a.', 'B', '...']) writeFileSync(join(folder, name), '');
  const { names, types } = listDirectory(fd);
  t.deepEqual(names, ['...', 'B', 'a.', 'b', 'b-', '\xc3\xa4']);
  t.deepEqual([...types], [8, 8, 8, 4, 1, 10]);
});

test('a directory is read from its beginning, however often', (t) => {
  const { folder, fd } = opened(t);
  t.deepEqual(listDirectory(fd), { names: [], types: new Uint8Array() });
  writeFileSync(join(folder, 'new'), '');
  t.deepEqual(listDirectory(fd).names, ['new']);
  t.deepEqual(listDirectory(fd).names, ['new']);
});

test('a directory may be larger than what the kernel gives out at a time', (t) => {
  const { folder, fd } = opened(t);
  const expected = Array.from({ length: 3000 }, (_, i) => `${i}`.padStart(60, 'n')).sort();
  for (const name of expected) writeFileSync(join(folder, name), '');
  t.deepEqual(listDirectory(fd).names, expected);
});

test('what is no directory, or no longer there, says so', (t) => {
  const { folder, fd } = opened(t);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const other = openSync(file, 'r');
  t.teardown(() => closeSync(other));
  t.throws(() => listDirectory(other), { message: 'list folder: Not a directory' });
  rmSync(folder, { recursive: true });
  t.throws(() => listDirectory(fd), { message: /^list folder: No such file/ });
});
