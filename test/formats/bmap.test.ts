/** Block maps: what is written is read, and maps of bmap-tools are. */
import test from 'ava';
import {
  bmapCount,
  decodeBmap,
  encodeBmapHead,
  encodeBmapRange,
  encodeBmapTail,
  isBmap,
} from '../../formats/bmap.ts';

const HEX = 'ab'.repeat(32);
const RANGES = [
  { first: 0, last: 3, checksum: HEX },
  { first: 5, last: 5, checksum: HEX, was: '12'.repeat(32) },
];
const DELTA = { digest: 'sha256', baseSize: 20_000, baseRoot: HEX, resultRoot: HEX };

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

function mapOf(delta: typeof DELTA | undefined): string {
  const { text } = encodeBmapHead({ imageSize: 24_000, blockSize: 4096 });
  return text + RANGES.map(encodeBmapRange).join('') + encodeBmapTail(delta);
}

test('a block map is read as it was written', (t) => {
  for (const delta of [undefined, DELTA]) {
    const text = mapOf(delta);
    const { fileChecksum, ...bmap } = decodeBmap(bytesOf(text));
    t.deepEqual(bmap, {
      imageSize: 24_000,
      blockSize: 4096,
      checksumType: 'sha256',
      delta,
      ranges: RANGES,
    });
    const { checksumOffset } = encodeBmapHead({ imageSize: 24_000, blockSize: 4096 });
    t.deepEqual(fileChecksum, { digits: '0'.repeat(64), offset: checksumOffset });
    t.true(isBmap(bytesOf(text)));
  }
});

test('what is known at the end has its place from the begin on', (t) => {
  const { text, countOffset } = encodeBmapHead({ imageSize: 1, blockSize: 512 });
  const whole = text.slice(0, countOffset) + bmapCount(77) + text.slice(countOffset + 16);
  t.true(whole.includes('<MappedBlocksCount> 77               </MappedBlocksCount>'));
});

/** As bmaptool 3.6 writes it. */
const FOREIGN = `<?xml version="1.0" ?>
<!-- This file contains the block map for an image file <BlockMap> -->

<bmap version="2.0">
    <!-- Image size in bytes: 8.0 KiB -->
    <ImageSize> 8192 </ImageSize>

    <!-- Size of a block in bytes -->
    <BlockSize> 4096 </BlockSize>

    <!-- Count of blocks in the image file -->
    <BlocksCount> 2 </BlocksCount>

    <!-- Count of mapped blocks: 4.0 KiB or 50.0%    -->
    <MappedBlocksCount> 1 </MappedBlocksCount>

    <!-- Type of checksum used in this file -->
    <ChecksumType> sha256 </ChecksumType>

    <!-- The checksum of this bmap file -->
    <BmapFileChecksum> ${HEX} </BmapFileChecksum>

    <!-- The block map which consists of elements -->
    <BlockMap>
        <Range chksum="${HEX}"> 1 </Range>
    </BlockMap>
</bmap>
`;

test('a map of bmaptool is read, comments and all', (t) => {
  t.true(isBmap(bytesOf(FOREIGN)));
  const { ranges, fileChecksum } = decodeBmap(bytesOf(FOREIGN));
  t.deepEqual(ranges, [{ first: 1, last: 1, checksum: HEX }]);
  t.deepEqual(fileChecksum, { digits: HEX, offset: FOREIGN.indexOf(HEX) });
});

test('a map of version 1.3 has checksums of type SHA-1', (t) => {
  const sha1 = 'cd'.repeat(20);
  const text = FOREIGN.replace('version="2.0"', 'version="1.3"')
    .replace(/<ChecksumType>.*/, '')
    .replaceAll('BmapFileChecksum', 'BmapFileSHA1')
    .replaceAll('chksum', 'sha1')
    .replaceAll(HEX, sha1);
  const { checksumType, ranges } = decodeBmap(bytesOf(text));
  t.is(checksumType, 'sha1');
  t.deepEqual(ranges, [{ first: 1, last: 1, checksum: sha1 }]);
});

test('what is no block map, or a strange one, is refused', (t) => {
  for (const [from, to] of [
    ['<bmap version="2.0">', '<bmap>'],
    ['version="2.0"', 'version="3.0"'],
    [' 8192 ', ' 8193 '],
    [' 4096 ', ' 0 '],
    [' 4096 ', ' -1 '],
    ['<BlockMap>\n', '<BlockMap> junk \n'],
    ['"> 1 <', '"> 2 <'],
    ['"> 1 <', '"> 1-0 <'],
    ['</BlockMap>', ''],
    ['</ImageSize>', ''],
    [' -->\n    <BlockMap>', '\n    <BlockMap>'],
  ]) {
    t.throws(() => decodeBmap(bytesOf(FOREIGN.replace(from, to))), { code: 'FORMAT' }, from);
  }
  t.throws(() => decodeBmap(bytesOf(FOREIGN.replace(' sha256 ', ' crc7 '))), {
    code: 'UNSUPPORTED',
  });
});

test('a map that was cut off anywhere is refused', (t) => {
  for (let length = 0; length < FOREIGN.indexOf('</BlockMap>'); length++) {
    t.throws(() => decodeBmap(bytesOf(FOREIGN.slice(0, length))), { code: 'FORMAT' });
  }
});
