/** Reading an image by its blocks (spec/images.md, "Reading the source"). */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BlockTable } from '../../../../formats/block-table.ts';
import {
  type ImageSource,
  imageOfFile,
  imageOfStream,
} from '../../../../lib/images/source/image-source.node.ts';
import { type BlockPortion, BlockScan } from '../../../../lib/images/source/scan-blocks.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

interface Stretch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A file of this size with data at some places, and what it holds. */
function sparseFile(t: ExecutionContext<unknown>, size: number, stretches: readonly Stretch[]) {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const descriptor = openSync(join(folder, 'image'), 'w+');
  t.teardown(() => closeSync(descriptor));
  ftruncateSync(descriptor, size);
  const content = Buffer.alloc(size);
  for (const { offset, bytes } of stretches) {
    writeSync(descriptor, bytes, 0, bytes.length, offset);
    content.set(bytes, offset);
  }
  return { content, source: imageOfFile({ descriptor, label: 'image', size }) };
}

async function scanAll(
  source: ImageSource,
  blockSize: number,
  visit: (portion: BlockPortion) => void,
  threadCount = 0,
): Promise<void> {
  const scan = new BlockScan({ blockSize, digest: 'sha256', threadCount });
  try {
    for await (const portion of scan.scan(source)) {
      visit(portion);
      portion.release();
    }
  } finally {
    await scan.close();
  }
}

/** Digests of the blocks of `content` by the definition. */
function expectedDigests(content: Buffer, blockSize: number): Buffer {
  const digests: Buffer[] = [];
  for (let at = 0; at < content.length; at += blockSize) {
    digests.push(
      createHash('sha256')
        .update(content.subarray(at, at + blockSize))
        .digest(),
    );
  }
  return Buffer.concat(digests);
}

async function checkScan(
  t: ExecutionContext<unknown>,
  source: ImageSource,
  content: Buffer,
  blockSize: number,
  threadCount = 0,
): Promise<void> {
  const table = new BlockTable(blockSize, content.length);
  const copy = Buffer.alloc(content.length);
  let next = 0;
  await scanAll(
    source,
    blockSize,
    (portion) => {
      t.is(portion.start, next);
      next += portion.length;
      for (const run of portion.runs()) {
        table.set(run.first, portion.digestsOf(run));
        if (run.kind === 'data') copy.set(portion.bytesOf(run), run.first * blockSize);
      }
    },
    threadCount,
  );
  t.is(next, content.length);
  t.true(copy.equals(content));
  t.true(Buffer.from(table.digests()).equals(expectedDigests(content, blockSize)));
}

const STRETCHES = [
  { offset: 0, bytes: noise(5000, 1) },
  { offset: 3 * MIB + 123, bytes: noise(300_000, 2) },
  { offset: 4 * MIB, bytes: noise(10, 3) },
  { offset: 9 * MIB - 1, bytes: noise(1, 4) },
];

for (const blockSize of [4096, 10_000, 3 * MIB]) {
  for (const size of [9 * MIB, 12 * MIB + 17]) {
    test(`a sparse file of ${size} bytes in blocks of ${blockSize}`, async (t) => {
      const { source, content } = sparseFile(t, size, STRETCHES);
      await checkScan(t, source, content, blockSize);
    });
  }
}

test('the same on threads', async (t) => {
  const size = 20 * MIB + 5;
  const { source, content } = sparseFile(t, size, [{ offset: 0, bytes: noise(size, 9) }]);
  await checkScan(t, source, content, 4096, 2);
});

test('an empty file has no blocks', async (t) => {
  const { source, content } = sparseFile(t, 0, []);
  await checkScan(t, source, content, 4096);
});

for (const pieceLength of [1, 4095, 4096, 5 * MIB]) {
  test(`a stream in pieces of ${pieceLength}`, async (t) => {
    const content = noise(pieceLength === 1 ? 10_001 : 5 * MIB + 1, 5);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < content.length; at += pieceLength) {
      pieces.push(content.subarray(at, at + pieceLength));
    }
    await checkScan(t, imageOfStream('pipe', pieces), Buffer.from(content), 4096);
  });
}

test('only what differs from a table is told, by what it is', async (t) => {
  const content = Buffer.from(noise(10 * 4096, 6));
  content.fill(0, 5 * 4096, 7 * 4096);
  const known = new BlockTable(4096, content.length, expectedDigests(content, 4096));
  for (const block of [2, 3, 5, 8]) known.forget({ first: block, count: 1 });
  const told: unknown[] = [];
  await scanAll(imageOfStream('pipe', [content]), 4096, (portion) => {
    told.push(...portion.changedRuns(known));
  });
  t.deepEqual(told, [
    { first: 2, count: 2, kind: 'data' },
    { first: 5, count: 1, kind: 'zeros' },
    { first: 8, count: 1, kind: 'data' },
  ]);
});

test('a hole is not read', async (t) => {
  const { source } = sparseFile(t, 100 * MIB, [{ offset: 64 * MIB, bytes: noise(4096, 7) }]);
  let readBytes = 0;
  await scanAll(source, 4096, (portion) => {
    if (portion.hasBytes) readBytes += portion.length;
  });
  t.is(readBytes, 4096);
});

test('a file that is shorter than it was is a failure', async (t) => {
  const descriptor = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(descriptor));
  const cut = imageOfFile({ descriptor, label: 'cut', size: MIB });
  await t.throwsAsync(() => scanAll(cut, 4096, () => {}), { code: 'SOURCE_CHANGED' });
});

test('a caller who leaves early leaves nothing behind', async (t) => {
  const { source } = sparseFile(t, 30 * MIB, [{ offset: 0, bytes: noise(30 * MIB, 8) }]);
  const scan = new BlockScan({ blockSize: 4096, digest: 'sha256', threadCount: 1 });
  for await (const portion of scan.scan(source)) {
    portion.release();
    break;
  }
  let count = 0;
  for await (const portion of scan.scan(source)) {
    count += portion.count;
    portion.release();
  }
  t.is(count, (30 * MIB) / 4096);
  await scan.close();
});
