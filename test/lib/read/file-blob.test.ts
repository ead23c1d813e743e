/** What is special about blobs that are files and devices (see blob-readers.test.ts for the rest). */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BlobReader } from '../../../lib/read/blob-reader.ts';
import { openFileBlob } from '../../../lib/read/file-blob.node.ts';
import { noise } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { removeTree, temporaryFolder } from '../../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

function openFile(t: ExecutionContext, path: string, flags = 'r+'): number {
  const descriptor = openSync(path, flags);
  t.teardown(() => closeSync(descriptor));
  return descriptor;
}

async function bytesOf(reader: BlobReader, offset: number, length: number): Promise<Buffer> {
  const { pieces, release } = await reader.read({ offset, length });
  const bytes = Buffer.concat(pieces);
  release();
  return bytes;
}

test('what the system has in memory is given at once, in folders on disk and in memory', (t) => {
  const inMemory = mkdtempSync('/dev/shm/casync-test-');
  t.teardown(() => removeTree(inMemory));
  for (const parent of [temporaryFolder(t), inMemory]) {
    const path = join(parent, 'file');
    writeFileSync(path, noise(100_000));
    const reader = openFileBlob(openFile(t, path), 'file');
    const answer = reader.read({ offset: 500, length: 60_000 });
    if (answer instanceof Promise) {
      t.log(`${parent} cannot tell what is in memory`);
      continue;
    }
    t.deepEqual(new Uint8Array(answer.pieces[0]), noise(100_000).slice(500, 60_500));
  }
});

test('what is not in memory is waited for without stopping everything else', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, noise(4 * MIB));
  const file = openFile(t, path);
  execFileSync('sync', [path]);
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
  const reader = openFileBlob(file, 'file');
  t.true(
    (await bytesOf(reader, 3 * MIB, 100_000)).equals(
      noise(4 * MIB).subarray(3 * MIB, 3 * MIB + 100_000),
    ),
  );
  await reader.close();
});

test('a file that becomes shorter is named, and nothing is made up', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, noise(MIB));
  const file = openFile(t, path);
  const reader = openFileBlob(file, 'my file');
  ftruncateSync(file, 5000);
  const expectation = {
    code: 'SOURCE_CHANGED',
    message: 'my file: read: the file became shorter, it ends at 5000 now',
  };
  await t.throwsAsync(bytesOf(reader, 4000, 2000), expectation);
  await t.throwsAsync(bytesOf(reader, 0, MIB), expectation);
  t.false(reader.extentAt(6000).isZero);
  t.is((await bytesOf(reader, 0, 5000)).length, 5000);
});

test('holes are known without reading them', (t) => {
  const file = openFile(t, join(temporaryFolder(t), 'file'), 'w+');
  ftruncateSync(file, 64 * MIB);
  writeSync(file, noise(4096), 0, 4096, 8 * MIB);
  const reader = openFileBlob(file, 'file');
  t.deepEqual(reader.extentAt(0), { end: 8 * MIB, isZero: true });
  t.deepEqual(reader.extentAt(8 * MIB), { end: 8 * MIB + 4096, isZero: false });
  t.deepEqual(reader.extentAt(9 * MIB), { end: 64 * MIB, isZero: true });
});

test('a block device is read to its end', async (t) => {
  if (!requirement(t, { root: true, commands: ['losetup'] })) return;
  const path = join(temporaryFolder(t), 'image');
  writeFileSync(path, noise(MIB + 512));
  const attach = ['--find', '--show', '--read-only', path];
  const device = execFileSync('losetup', attach, { encoding: 'utf8' }).trim();
  t.teardown(() => execFileSync('losetup', ['--detach', device]));
  const reader = openFileBlob(openFile(t, device, 'r'), device);
  t.is(reader.size, MIB + 512);
  t.true((await bytesOf(reader, 0, 2 * MIB)).equals(noise(MIB + 512)));
  t.false(reader.extentAt(0).isZero);
  await reader.close();
});

test('memory is used again, and only when it was released', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, noise(8 * MIB));
  const reader = openFileBlob(openFile(t, path), 'file');
  const memory = new Set<ArrayBufferLike>();
  for (let i = 0; i < 50; i++) {
    const { pieces, release } = await reader.read({ offset: i * 1000, length: 2 * MIB });
    for (const { buffer } of pieces) memory.add(buffer);
    release();
    release();
  }
  t.is(memory.size, 2);
  const [one, other] = await Promise.all([0, 0].map(() => reader.read({ offset: 0, length: MIB })));
  t.not(one.pieces[0].buffer, other.pieces[0].buffer);
});
