/** Reading an image by its chunks (spec/formats/chunker.md). */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeIndex } from '../../../../formats/index-codec.ts';
import { make } from '../../../../lib/api/make.node.ts';
import { openImage } from '../../../../lib/images/source/open-image.node.ts';
import { ChunkScan } from '../../../../lib/images/source/scan-chunks.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const CHUNK_SIZES = { min: 1024, avg: 4096, max: 16_384 };

/** Noise, a hole of some MiB, and noise with an odd end. */
function writeSource(t: ExecutionContext): string {
  const path = join(temporaryFolder(t), 'source');
  fs.writeFileSync(path, noise(5_000_000));
  fs.truncateSync(path, 14_000_001);
  const file = fs.openSync(path, 'r+');
  fs.writeSync(file, noise(3_000_001, 2), 0, 3_000_001, 11_000_000);
  fs.closeSync(file);
  return path;
}

async function scanned(input: string | AsyncIterable<Uint8Array>, threadCount: number) {
  const image = openImage(input);
  const scan = new ChunkScan({ chunkSizes: CHUNK_SIZES, digest: 'sha256', threadCount });
  const digests: Uint8Array[] = [];
  const ends: number[] = [];
  const whole = createHash('sha256');
  for await (const portion of scan.scan(image.segments())) {
    let end = portion.start;
    for (const length of portion.lengths) {
      end += length;
      ends.push(end);
    }
    digests.push(portion.digests.slice());
    whole.update(portion.bytes ?? new Uint8Array(end - portion.start));
    portion.release();
    portion.release();
  }
  await scan.close();
  image.close();
  return { ends, digests: Buffer.concat(digests).toString('hex'), whole: whole.digest('hex') };
}

test('chunks are those that make stores, and their bytes are the image', async (t) => {
  const path = writeSource(t);
  const output = `${path}.caibx`;
  await make({ input: path, output, store: `${path}.castr`, chunkSizes: CHUNK_SIZES });
  const index = decodeIndex(fs.readFileSync(output));
  const ids = Array.from({ length: index.count }, (_, i) => index.id(i)).join('');
  const ends = Array.from({ length: index.count }, (_, i) => index.end(i));
  const whole = createHash('sha256').update(fs.readFileSync(path)).digest('hex');
  for (const threadCount of [0, 2]) {
    t.deepEqual(await scanned(path, threadCount), { ends, digests: ids, whole });
    t.deepEqual(await scanned(fs.createReadStream(path), threadCount), {
      ends,
      digests: ids,
      whole,
    });
  }
});

test('an empty image has no chunks', async (t) => {
  const path = join(temporaryFolder(t), 'empty');
  fs.writeFileSync(path, '');
  t.deepEqual((await scanned(path, 0)).ends, []);
});

test('a file that becomes shorter fails, and nothing goes on', async (t) => {
  const path = writeSource(t);
  const image = openImage(path);
  const scan = new ChunkScan({ chunkSizes: CHUNK_SIZES, digest: 'sha256', threadCount: 1 });
  const read = async () => {
    for await (const portion of scan.scan(image.segments())) {
      fs.truncateSync(path, 0);
      portion.release();
    }
  };
  await t.throwsAsync(read, { code: 'SOURCE_CHANGED' });
  await scan.close();
  image.close();
});
