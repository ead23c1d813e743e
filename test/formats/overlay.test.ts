/** The file of an overlay: what is written is read, and nothing else is taken for it. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import {
  BLOCK_LENGTH,
  BLOCKS_PER_PAGE,
  decodeJournal,
  decodeMapPage,
  decodeOverlayHeader,
  encodeJournal,
  encodeMapPage,
  encodeOverlayHeader,
  JOURNAL_CAPACITY,
  overlayLayout,
  STATES_LENGTH,
} from '../../formats/overlay.ts';

const ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const OTHER_ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 9);
const LAYOUT = overlayLayout(100 * BLOCKS_PER_PAGE * BLOCK_LENGTH);

test('a header is read as it was written', (t) => {
  for (const identity of [undefined, new Uint8Array(32).fill(9)]) {
    const header = { size: 12345, identity, id: ID };
    t.deepEqual(decodeOverlayHeader(encodeOverlayHeader(header, crc32), crc32), header);
  }
});

test('the first bytes of a header are those of the specification', (t) => {
  const page = encodeOverlayHeader({ size: 8192, identity: undefined, id: ID }, crc32);
  t.is(
    Buffer.from(page.subarray(0, 24)).toString('hex'),
    '8963616f766c0a0100200000000000000010000000000000',
  );
  t.is(Buffer.from(page.subarray(4080, 4092)).toString('hex'), 'ffffffff0102030405060708');
});

test('a file has header, journal, map and data one behind the other', (t) => {
  t.deepEqual(overlayLayout(BLOCKS_PER_PAGE * BLOCK_LENGTH + 1), {
    blockCount: 16321,
    pageCount: 2,
    journalOffset: 4096,
    mapOffset: 270336,
    dataOffset: 278528,
    fileSize: 278528 + 16320 * 4096 + 1,
  });
});

test('a page of the map is read as it was written, and only in its place', (t) => {
  const states = Uint8Array.from({ length: STATES_LENGTH }, (_, i) => [0, 1, 2, 0x55, 0xaa][i % 5]);
  const page = encodeMapPage(7, states, ID, crc32);
  t.deepEqual(decodeMapPage(page, 7, ID, crc32), states);
  t.throws(() => decodeMapPage(page, 8, ID, crc32), { message: /checksum differs/ });
  t.throws(() => decodeMapPage(page, 7, OTHER_ID, crc32), { message: /checksum differs/ });
  t.is(decodeMapPage(new Uint8Array(BLOCK_LENGTH), 7, ID, crc32), undefined);
});

function pagesFrom(first: number, count: number, fill: number) {
  return Array.from({ length: count }, (_, i) => {
    const states = new Uint8Array(STATES_LENGTH).fill(fill);
    return { number: first + i, bytes: encodeMapPage(first + i, states, ID, crc32) };
  });
}

function journalArea(journal: Uint8Array): Uint8Array {
  const area = new Uint8Array((1 + JOURNAL_CAPACITY) * BLOCK_LENGTH);
  area.set(journal);
  return area;
}

test('a journal gives the pages that were put into it', (t) => {
  for (const count of [0, 1, JOURNAL_CAPACITY]) {
    const pages = pagesFrom(3, count, 1);
    const area = journalArea(encodeJournal(pages, ID, crc32));
    const found = decodeJournal(area, LAYOUT, ID, crc32);
    t.deepEqual(
      found.map(({ number }) => number),
      pages.map(({ number }) => number),
    );
    t.true(found.every(({ bytes }, i) => Buffer.compare(bytes, pages[i].bytes) === 0));
  }
});

test('a journal of which any sector is an older one gives nothing', (t) => {
  const older = journalArea(encodeJournal(pagesFrom(3, 4, 1), ID, crc32));
  const newer = journalArea(encodeJournal(pagesFrom(3, 4, 2), ID, crc32));
  for (let sector = 0; sector < (5 * BLOCK_LENGTH) / 512; sector++) {
    const mixed = newer.slice();
    const [start, end] = [sector * 512, (sector + 1) * 512];
    mixed.set(older.subarray(start, end), start);
    // Some sectors are the same in both.
    if (Buffer.compare(mixed, newer) === 0) continue;
    t.deepEqual(decodeJournal(mixed, LAYOUT, ID, crc32), [], `sector ${sector}`);
  }
});
