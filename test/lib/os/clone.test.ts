import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { cloneRange } from '../../../lib/os/clone.node.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const BLOCK = 4096;

function twoFiles(folder: string): { readonly source: number; readonly destination: string } {
  writeFileSync(join(folder, 'source'), Buffer.alloc(4 * BLOCK, 'ab'));
  writeFileSync(join(folder, 'destination'), Buffer.alloc(4 * BLOCK, 'x'));
  return {
    source: openSync(join(folder, 'source'), 'r'),
    destination: join(folder, 'destination'),
  };
}

for (const type of ['xfs', 'btrfs'] as const) {
  test(`a range of a file shares the blocks of another on ${type}`, (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const { source, destination } = twoFiles(loopMount(t, type));
    const fd = openSync(destination, 'r+');
    t.true(cloneRange(source, fd, { from: BLOCK, to: 2 * BLOCK, length: BLOCK }));
    t.false(cloneRange(source, fd, { from: 1, to: 2 * BLOCK, length: BLOCK }));
    closeSync(fd);
    closeSync(source);
    const bytes = readFileSync(destination);
    t.deepEqual(bytes.subarray(2 * BLOCK, 3 * BLOCK), Buffer.alloc(BLOCK, 'ab'));
    t.deepEqual(bytes.subarray(3 * BLOCK), Buffer.alloc(BLOCK, 'x'));
  });
}

test('where blocks cannot be shared, nothing changes', (t) => {
  const { source, destination } = twoFiles(temporaryFolder(t));
  const fd = openSync(destination, 'r+');
  t.false(cloneRange(source, fd, { from: 1, to: 0, length: 10 }));
  closeSync(fd);
  closeSync(source);
  t.deepEqual(readFileSync(destination), Buffer.alloc(4 * BLOCK, 'x'));
});
