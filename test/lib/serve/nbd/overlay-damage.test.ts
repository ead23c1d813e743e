/** Files of overlays that are damaged or forged, and disks that are full. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { writeU32, writeU64 } from '../../../../formats/bytes.ts';
import { isCasError } from '../../../../formats/errors.ts';
import { BLOCK_LENGTH, overlayLayout } from '../../../../formats/overlay.ts';
import { openBytesBlob } from '../../../../lib/read/bytes-blob.ts';
import type { BlockExport } from '../../../../lib/serve/nbd/block-export.ts';
import { openOverlay } from '../../../../lib/serve/nbd/overlay.node.ts';
import { requirement } from '../../../helpers/requirements.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const SIZE = 6 * BLOCK_LENGTH;
const { dataOffset, journalOffset, mapOffset } = overlayLayout(SIZE);
const CRC_AT = BLOCK_LENGTH - 4;

const openAt = (path: string, size = SIZE): Promise<BlockExport> =>
  openOverlay(openBytesBlob(new Uint8Array(size).fill(1), 'base'), path);

async function contentOf(path: string): Promise<Buffer> {
  const overlay = await openAt(path);
  try {
    const { pieces } = await overlay.read({ offset: 0, length: SIZE });
    return Buffer.concat(pieces);
  } finally {
    await overlay.close();
  }
}

/** A closed overlay with a block of each kind. */
async function makeOverlay(t: ExecutionContext): Promise<string> {
  const path = join(temporaryFolder(t), 'overlay');
  const overlay = await openAt(path);
  await overlay.writer?.write(BLOCK_LENGTH, new Uint8Array(BLOCK_LENGTH).fill(2));
  await overlay.writer?.flush();
  await overlay.writer?.zero({ offset: 3 * BLOCK_LENGTH, length: BLOCK_LENGTH });
  await overlay.close();
  return path;
}

test('with any bit of header, journal or map flipped, an overlay is refused or true', async (t) => {
  const path = await makeOverlay(t);
  const good = readFileSync(path);
  const expected = await contentOf(path);
  let refused = 0;
  let bits = 0;
  // Every bit of what is used, and one in each stretch of what is not.
  for (let at = 0; at < dataOffset; at++) {
    const isUsed = good[at] !== 0;
    if (!isUsed && at % 1024 !== 5) continue;
    for (let bit = 0; bit < (isUsed ? 8 : 1); bit++) {
      bits++;
      const damaged = Buffer.from(good);
      damaged[at] ^= 1 << bit;
      writeFileSync(path, damaged);
      try {
        const content = await contentOf(path);
        if (!content.equals(expected)) t.fail(`byte ${at}, bit ${bit}: other content`);
      } catch (error) {
        if (!isCasError(error)) throw error;
        refused++;
        if (!readFileSync(path).equals(damaged)) t.fail(`byte ${at}, bit ${bit}: was written to`);
      }
    }
  }
  t.log(`${refused} of ${bits} bits refused`);
  t.true(refused > 200);
});

test('a damaged map that the journal does not repair is refused in one line', async (t) => {
  const path = await makeOverlay(t);
  const bytes = readFileSync(path);
  bytes.fill(0, journalOffset, mapOffset);
  bytes[mapOffset] ^= 1;
  writeFileSync(path, bytes);
  await t.throwsAsync(openAt(path), {
    code: 'FORMAT',
    message: `${path}: overlay map at byte ${mapOffset}: checksum differs`,
  });
});

function sealedAgain(page: Buffer): Buffer {
  writeU32(page, CRC_AT, crc32(page.subarray(0, CRC_AT)));
  return page;
}

/** The overlay with some of its header forged, under a true checksum. */
async function forged(t: ExecutionContext, forge: (page: Buffer) => void): Promise<string> {
  const path = await makeOverlay(t);
  const bytes = readFileSync(path);
  const page = bytes.subarray(0, BLOCK_LENGTH);
  forge(page);
  sealedAgain(page);
  writeFileSync(path, bytes);
  return path;
}

const FORGERIES: Readonly<Record<string, readonly [(page: Buffer) => void, RegExp]>> = {
  'a huge size': [(page) => writeU64(page, 8, 2 ** 52), /size above the limit/],
  'an endless size': [(page) => page.fill(255, 8, 16), /size above the limit/],
  'another size': [(page) => writeU64(page, 8, SIZE + 1), /it is for an image of/],
  'other blocks': [(page) => writeU64(page, 16, 512), /block size is not 4096/],
  'an identity of the future': [(page) => writeU64(page, 24, 2), /unknown kind of identity/],
  'another version': [(page) => page.writeUInt8(2, 7), /version 2 is not known/],
};

for (const [name, [forge, message]] of Object.entries(FORGERIES)) {
  test(`a header with ${name} is refused`, async (t) => {
    await t.throwsAsync(openAt(await forged(t, forge)), { message });
  });
}

test('a forged size that fits the base costs no memory', async (t) => {
  const size = 8 * 1024 ** 4;
  const path = await forged(t, (page) => writeU64(page, 8, size));
  const base = { ...openBytesBlob(new Uint8Array(0), 'base'), size };
  await t.throwsAsync(openOverlay(base, path), { message: /bytes instead of/ });
});

test('a map with a state that does not exist is refused', async (t) => {
  const path = await makeOverlay(t);
  const bytes = readFileSync(path);
  bytes.fill(0, journalOffset, mapOffset);
  const page = bytes.subarray(mapOffset, mapOffset + BLOCK_LENGTH);
  page[100] = 0b11;
  sealedAgain(page);
  writeFileSync(path, bytes);
  await t.throwsAsync(openAt(path), { code: 'FORMAT', message: /unknown state of a block/ });
});

test('a file that was cut off or has grown is refused', async (t) => {
  const path = await makeOverlay(t);
  for (const size of [dataOffset + SIZE + 1, dataOffset + SIZE - 1, mapOffset, 100, 0]) {
    truncateSync(path, size);
    await t.throwsAsync(openAt(path), { message: /instead of|not an overlay/ });
  }
});

test('a journal that speaks of pages that there are not is not followed', async (t) => {
  const path = await makeOverlay(t);
  const bytes = readFileSync(path);
  const expected = await contentOf(path);
  const head = bytes.subarray(journalOffset, journalOffset + BLOCK_LENGTH);
  const first = bytes.subarray(journalOffset + BLOCK_LENGTH, journalOffset + 2 * BLOCK_LENGTH);
  writeU32(first, BLOCK_LENGTH - 16, 5);
  sealedAgain(first);
  writeU32(head, 8, 5);
  writeU32(head, 12, first.readUInt32LE(CRC_AT));
  sealedAgain(head);
  writeFileSync(path, bytes);
  t.true(expected.equals(await contentOf(path)));
  writeU64(head, 0, 2 ** 40);
  sealedAgain(head);
  writeFileSync(path, bytes);
  t.true(expected.equals(await contentOf(path)));
});

/** A small file system in memory. */
function smallDisk(t: ExecutionContext, size: string): string {
  const folder = join(temporaryFolder(t), 'small');
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  t.teardown(() => {
    execFileSync('umount', ['-l', folder]);
  });
  return folder;
}

test('on a full disk a write fails, what was there stays, and space that comes is used', async (t) => {
  if (!requirement(t, { root: true, commands: ['mount', 'umount'] })) return;
  const path = join(smallDisk(t, '1M'), 'overlay');
  const size = 1 << 20;
  const overlay = await openAt(path, size);
  const { writer } = overlay;
  if (writer === undefined) throw new Error('not writable');
  const block = new Uint8Array(64 * 1024).fill(7);
  let written = 0;
  const full = await t.throwsAsync(async () => {
    for (; ; written += block.length) await writer.write(written, block);
  });
  t.true(isCasError(full) && full.code === 'TARGET_FULL', String(full));
  t.true(written > 4 * block.length);
  await writer.flush();
  await t.throwsAsync(writer.zero({ offset: 1 << 19, length: 1 << 19 }, { keep: true }), {
    code: 'TARGET_FULL',
  });
  // What has its place already can be written.
  await writer.write(0, new Uint8Array(BLOCK_LENGTH).fill(8));
  await writer.zero({ offset: BLOCK_LENGTH, length: 4 * block.length });
  await writer.write(size - block.length, block);
  await overlay.close();
  const again = await openAt(path, size);
  const { pieces } = await again.read({ offset: 0, length: size });
  const content = Buffer.concat(pieces);
  const expected = Buffer.alloc(size, 1).fill(7, 0, written);
  expected.fill(8, 0, BLOCK_LENGTH).fill(0, BLOCK_LENGTH, BLOCK_LENGTH + 4 * block.length);
  expected.fill(7, size - block.length);
  // The writes that failed may have left new blocks, or zeros.
  const failed = { start: written, end: size - block.length };
  content.copy(expected, failed.start, failed.start, failed.end);
  t.true(content.equals(expected));
  t.true(content.subarray(failed.start, failed.end).every((byte) => [0, 1, 7].includes(byte)));
  await again.close();
});

test('on a full disk an overlay is not begun', async (t) => {
  if (!requirement(t, { root: true, commands: ['mount', 'umount'] })) return;
  const path = join(smallDisk(t, '64K'), 'overlay');
  await t.throwsAsync(openAt(path), {
    code: 'TARGET_FULL',
    message: /^[^\n]*No space left[^\n]*$/,
  });
  t.throws(() => readFileSync(path), { code: 'ENOENT' });
});
