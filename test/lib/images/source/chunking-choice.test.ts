/** How images are cut if nobody says so (spec/images.md, "Chunking"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { chooseChunking } from '../../../../lib/images/source/chunking-choice.node.ts';
import { openImage } from '../../../../lib/images/source/open-image.node.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

type Parts = Readonly<Record<number, string>>;

/** How a file is cut that has these parts at these offsets, and so many bytes. */
function chosen(t: ExecutionContext, parts: Parts, size: number): string {
  const path = join(temporaryFolder(t), 'file');
  const file = fs.openSync(path, 'w');
  fs.ftruncateSync(file, size);
  for (const [offset, text] of Object.entries(parts)) {
    fs.writeSync(file, Buffer.from(text, 'latin1'), 0, text.length, Number(offset));
  }
  fs.closeSync(file);
  const image = openImage(path);
  const { chunking } = chooseChunking(image);
  image.close();
  return chunking;
}

test('what is written in place is cut into blocks', (t) => {
  const images: readonly Parts[] = [
    { 512: 'EFI PART' },
    { 1080: '\x53\xef' },
    { 0: 'XFSB' },
    { 65600: '_BHRfS_M' },
    { 0: 'QFI\xfb' },
    { 0: 'SQLite format 3\0' },
    { 510: '\x55\xaa' },
  ];
  for (const parts of images) {
    t.is(chosen(t, parts, 66_048), 'fixed', JSON.stringify(parts));
  }
});

test('what is written anew is cut by content, also if it looks like a large image', (t) => {
  const images: readonly Parts[] = [
    { 257: 'ustar' },
    { 0: '\x1f\x8b' },
    { 0: 'PK\x03\x04' },
    { 0: 'hsqs' },
  ];
  for (const parts of images) {
    t.is(chosen(t, parts, 64 * MIB), 'cdc', JSON.stringify(parts));
  }
});

test('a large file of whole MiB is an image, any other file is not', (t) => {
  t.is(chosen(t, {}, 8 * MIB), 'fixed');
  t.is(chosen(t, {}, 8 * MIB + 1000), 'cdc');
  t.is(chosen(t, {}, 2 * MIB), 'cdc');
  t.is(chosen(t, {}, 0), 'cdc');
});
