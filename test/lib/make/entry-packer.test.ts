// What is packed, and what is left to the walk. Changes are made when the packer writes the records,
// which is between reading attributes and reading content.
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { EntryPacker, FULL, LEFT } from '../../../lib/make/entry-packer.node.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const FEATURE_FLAGS = 0xb0000001ffeffe26n;
/** FILENAME and ENTRY of a file with a name of four bytes, header of PAYLOAD. */
const RECORDS_LENGTH = 21 + 64 + 16;

function folderOf(t: Parameters<typeof temporaryFolder>[0], files: Record<string, number>) {
  const folder = temporaryFolder(t);
  for (const [name, size] of Object.entries(files)) {
    writeFileSync(join(folder, name), Buffer.alloc(size, 'x'));
    // Long ago, because clocks of file systems are coarse.
    utimesSync(join(folder, name), 1, 1);
  }
  const directory = openSync(folder, 'r');
  t.teardown(() => closeSync(directory));
  const packer = new EntryPacker({ featureFlags: FEATURE_FLAGS }, 'read');
  const run = { directory, mountId: undefined };
  const pack = (name: string, out: Uint8Array, start = 0) =>
    packer.pack(run, Buffer.from(name), 'file', out, start);
  return { folder, pack };
}

test('an entry begins where it shall, and needs no more room than it has bytes', (t) => {
  const { pack } = folderOf(t, { file: 100 });
  const out = new Uint8Array(10 + RECORDS_LENGTH + 100).fill(0xee);
  t.is(pack('file', out, 10), RECORDS_LENGTH + 100);
  t.deepEqual(out.subarray(0, 10), new Uint8Array(10).fill(0xee));
  t.deepEqual(Buffer.from(out.subarray(26, 31)).toString(), 'file\0');
  t.deepEqual(out.subarray(-100), new Uint8Array(100).fill(0x78));
});

test('without room it is said that the memory is full, or too small ever', (t) => {
  const { pack } = folderOf(t, { file: 100 });
  t.is(pack('file', new Uint8Array(10 + RECORDS_LENGTH + 99), 10), FULL);
  t.is(pack('file', new Uint8Array(RECORDS_LENGTH + 99)), LEFT);
  t.is(pack('file', new Uint8Array(10), 10), FULL);
});

test('directories, large files and what is not there are left', (t) => {
  const { folder, pack } = folderOf(t, { file: 256 * 1024, more: 256 * 1024 + 1 });
  const out = new Uint8Array(2 ** 20);
  mkdirSync(join(folder, 'directory'));
  symlinkSync('target', join(folder, 'link'));
  t.is(pack('file', out), RECORDS_LENGTH + 256 * 1024);
  t.is(pack('more', out), LEFT);
  t.is(pack('directory', out), LEFT);
  t.is(pack('nothing', out), LEFT);
  // Listed as a file, and yet no reason not to pack it.
  t.is(pack('link', out), RECORDS_LENGTH + 'target\0'.length);
});

const CHANGES = {
  'becomes longer': (path: string) => appendFileSync(path, 'more'),
  'becomes shorter': (path: string) => truncateSync(path, 10),
  'gets other content': (path: string) => writeFileSync(path, Buffer.alloc(100, 'y')),
} as const;

for (const [what, change] of Object.entries(CHANGES)) {
  test(`a file that ${what} between attributes and content is left`, (t) => {
    const { folder, pack } = folderOf(t, { file: 100 });
    const out = new Uint8Array(1000);
    out.set = (records, offset) => {
      change(join(folder, 'file'));
      Uint8Array.prototype.set.call(out, records, offset);
    };
    const openCount = descriptorCount(folder);
    t.is(pack('file', out), LEFT);
    t.is(descriptorCount(folder), openCount);
  });
}
