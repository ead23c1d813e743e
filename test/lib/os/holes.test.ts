import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { punchHole } from '../../../lib/os/holes.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

function file(t: Parameters<typeof temporaryFolder>[0]): number {
  const fd = openSync(join(temporaryFolder(t), 'file'), 'w+');
  t.teardown(() => closeSync(fd));
  return fd;
}

test('a punched hole reads as zeros, takes no space and keeps the size', (t) => {
  const fd = file(t);
  writeSync(fd, Buffer.alloc(3 * MIB, 1), 0, 3 * MIB, 0);
  const before = fstatSync(fd).blocks;
  t.true(punchHole(fd, MIB, MIB));
  const stats = fstatSync(fd);
  t.is(stats.size, 3 * MIB);
  t.true(stats.blocks < before);
  const bytes = Buffer.alloc(MIB, 9);
  readSync(fd, bytes, 0, MIB, MIB);
  t.deepEqual(bytes, Buffer.alloc(MIB));
});
