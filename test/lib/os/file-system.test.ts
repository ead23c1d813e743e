import { closeSync, openSync } from 'node:fs';
import test from 'ava';
import { fileSystemType, syncFileSystem } from '../../../lib/os/file-system.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

test('types of file systems are told by path and descriptor', (t) => {
  const fd = openSync('/proc', 'r');
  t.teardown(() => closeSync(fd));
  t.is(fileSystemType(fd), 0x9fa0);
  t.is(fileSystemType(Buffer.from('/proc')), 0x9fa0);
  t.is(fileSystemType(Buffer.from('/sys')), 0x62656572);
});

test('a file system is synced', async (t) => {
  const fd = openSync(temporaryFolder(t), 'r');
  t.teardown(() => closeSync(fd));
  await t.notThrowsAsync(async () => syncFileSystem(fd));
});
