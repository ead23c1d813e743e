/** What is special about blobs on other machines (see blob-readers.test.ts for the rest). */
import test from 'ava';
import type { BlobReader } from '../../../lib/read/blob-reader.ts';
import { openRemoteBlob } from '../../../lib/read/remote-blob.node.ts';
import type { ObjectRange } from '../../../store/backend.ts';
import type { RemoteFile } from '../../../store/remote-file.ts';
import { noise } from '../../helpers/golden.ts';

const MIB = 1024 * 1024;
const BLOCK = 64 * 1024;

interface Asked {
  readonly ranges: ObjectRange[];
  mostUnderWay: number;
}

/** A file elsewhere that counts what it is asked for. */
function remoteFile(bytes: Uint8Array, hasRanges = true): { file: RemoteFile; asked: Asked } {
  const asked: Asked = { ranges: [], mostUnderWay: 0 };
  let underWay = 0;
  const file: RemoteFile = {
    label: 'x://far/blob',
    stat: async () => ({ size: bytes.length, hasRanges }),
    async *read() {
      yield bytes;
    },
    async readRange(range) {
      asked.ranges.push(range);
      asked.mostUnderWay = Math.max(asked.mostUnderWay, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      return bytes.slice(range.offset, range.offset + range.length);
    },
    openWriter: () => Promise.reject(new Error('read-only')),
    close: async () => {},
  };
  return { file, asked };
}

async function readAll(reader: BlobReader, length: number): Promise<void> {
  for (let offset = 0; offset < reader.size; offset += length) {
    (await reader.read({ offset, length })).release();
  }
}

function bytesIn(ranges: readonly ObjectRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

test('equal wishes share a request, and what is in memory needs none', async (t) => {
  const { file, asked } = remoteFile(noise(MIB));
  const reader = await openRemoteBlob(file);
  const range = { offset: 100_000, length: 5000 };
  await Promise.all([reader.read(range), reader.read(range), reader.read(range)]);
  t.is(asked.ranges.length, 1);
  t.false(reader.read({ offset: 101_000, length: 10 }) instanceof Promise);
  t.is(asked.ranges.length, 1);
});

test('whoever reads here and there fetches little more than that', async (t) => {
  const { file, asked } = remoteFile(noise(64 * MIB));
  const reader = await openRemoteBlob(file);
  for (let i = 0; i < 40; i++) {
    const offset = ((i * 37) % 60) * MIB + 12_345 * i;
    (await reader.read({ offset, length: 100 })).release();
  }
  t.true(bytesIn(asked.ranges) <= 2 * 40 * BLOCK, `${bytesIn(asked.ranges)} bytes`);
});

test('whoever reads in order gets long ranges, several under way, each byte once', async (t) => {
  const { file, asked } = remoteFile(noise(32 * MIB));
  const reader = await openRemoteBlob(file);
  await readAll(reader, 128 * 1024);
  t.is(bytesIn(asked.ranges), 32 * MIB);
  t.true(asked.ranges.length < 64, `${asked.ranges.length} requests`);
  t.true(asked.mostUnderWay > 2 && asked.mostUnderWay <= 8, `${asked.mostUnderWay}`);
});

test('no more is kept than memory was given for', async (t) => {
  const { file, asked } = remoteFile(noise(4 * MIB));
  const reader = await openRemoteBlob(file, { cacheSize: MIB });
  for (let block = 0; block < 64; block += 2) {
    (await reader.read({ offset: block * BLOCK, length: 10 })).release();
  }
  const before = asked.ranges.length;
  await reader.read({ offset: 62 * BLOCK, length: 10 });
  t.is(asked.ranges.length, before);
  await reader.read({ offset: 0, length: 10 });
  t.true(asked.ranges.length > before);
});

test('a file that becomes shorter is named, and nothing is made up', async (t) => {
  const { file } = remoteFile(noise(MIB));
  const short: RemoteFile = { ...file, stat: async () => ({ size: 2 * MIB, hasRanges: true }) };
  const reader = await openRemoteBlob(short);
  const reading = async () => reader.read({ offset: MIB - 10, length: 100 });
  const error = await t.throwsAsync(reading, { code: 'SOURCE_CHANGED' });
  t.regex(error?.message ?? '', /^x:\/\/far\/blob: read: the file became shorter, it ends at /);
});

test('what comes only front to back cannot be read anywhere', async (t) => {
  const { file } = remoteFile(noise(10), false);
  await t.throwsAsync(openRemoteBlob(file), {
    code: 'UNSUPPORTED',
    message: 'x://far/blob: can only be read from the beginning to the end',
  });
});

test('a failure of what was read ahead is nobody else’s', async (t) => {
  const bytes = noise(8 * MIB);
  const { file } = remoteFile(bytes);
  let isDown = false;
  const reader = await openRemoteBlob({
    ...file,
    readRange: (range, options) =>
      isDown ? Promise.reject(new Error('down')) : file.readRange(range, options),
  });
  for (let offset = 0; offset < MIB; offset += 128 * 1024) {
    isDown = offset === 896 * 1024;
    const { pieces } = await reader.read({ offset, length: 128 * 1024 });
    t.true(Buffer.concat(pieces).equals(bytes.subarray(offset, offset + 128 * 1024)));
  }
  isDown = false;
  const { pieces } = await reader.read({ offset: 2 * MIB, length: 4 * MIB });
  t.true(Buffer.concat(pieces).equals(bytes.subarray(2 * MIB, 6 * MIB)));
});
