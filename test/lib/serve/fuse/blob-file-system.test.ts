import test from 'ava';
import { concatBytes } from '../../../../formats/bytes.ts';
import { isCasError } from '../../../../formats/errors.ts';
import { openBytesBlob } from '../../../../lib/read/bytes-blob.ts';
import { blobFileName, openBlobFileSystem } from '../../../../lib/serve/fuse/blob-file-system.ts';
import { type DirectoryEntry, ROOT_INODE } from '../../../../lib/serve/fuse/file-system.ts';

const bytes = (value: string): Uint8Array => Buffer.from(value);
const CONTENT = bytes('the content of a disk');

function open() {
  const blob = openBytesBlob(CONTENT, 'disk.caibx');
  const owner = { uid: 1000, gid: 100, modifiedNs: 1_234_567_890n };
  return openBlobFileSystem(blob, { name: bytes('disk'), ...owner });
}

test('a blob is one file that everybody may read', async (t) => {
  const system = open();
  const entries: DirectoryEntry[] = [];
  await system.list(ROOT_INODE, 0, (entry) => entries.push(entry) > 0);
  t.is(entries.length, 1);
  const [{ name, inode, next, attributes }] = entries;
  t.is(Buffer.from(name).toString(), 'disk');
  t.true(next > 2);
  t.deepEqual(attributes, {
    inode,
    mode: 0o100444,
    linkCount: 1,
    uid: 1000,
    gid: 100,
    size: CONTENT.length,
    modifiedNs: 1_234_567_890n,
  });
  t.deepEqual(await system.lookup(ROOT_INODE, bytes('disk')), attributes);
  t.is(await system.lookup(ROOT_INODE, bytes('disc')), undefined);
  t.like(await system.attributes(ROOT_INODE), { mode: 0o040555, linkCount: 2, uid: 1000 });
  t.is(system.parentOf(ROOT_INODE), ROOT_INODE);
  await system.list(ROOT_INODE, next, () => t.fail() as never);
});

test('any part of a blob is read', async (t) => {
  const system = open();
  for (const [offset, length] of [
    [0, 3],
    [4, 7],
    [4, 1000],
    [CONTENT.length, 5],
    [1_000_000, 5],
  ]) {
    const read = await system.read(2, { offset, length });
    t.deepEqual(concatBytes(read.pieces), new Uint8Array(CONTENT).slice(offset, offset + length));
    t.is(read.length, concatBytes(read.pieces).length);
    read.release();
  }
  t.deepEqual(await system.extentAt(2, 5), { end: CONTENT.length, isZero: false });
});

test('what there is not is an error', async (t) => {
  const system = open();
  const asks = [
    () => system.attributes(3),
    () => system.read(ROOT_INODE, { offset: 0, length: 1 }),
    () => system.readLink(2),
    () => system.lookup(2, bytes('x')),
    () => system.list(2, 0, () => true),
    () => system.parentOf(2),
  ];
  for (const ask of asks) t.true(isCasError(await t.throwsAsync(async () => ask())));
  t.deepEqual(await system.extendedAttributeNames(2), []);
});

test('the file is named as the index without its suffix', (t) => {
  t.is(blobFileName('/a/disk.raw.caibx'), 'disk.raw');
  t.is(blobFileName('disk.caibx'), 'disk');
  t.is(blobFileName('disk.img'), 'disk.img');
  t.is(blobFileName('a#b?c.caibx'), 'a#b?c');
  t.is(blobFileName('https://host/path/disk.raw.caibx?token=x'), 'disk.raw');
  t.is(blobFileName('.caibx'), 'blob');
  t.is(blobFileName(''), 'blob');
  t.is(blobFileName('/dir/..'), 'blob');
});
