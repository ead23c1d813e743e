import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { concatBytes } from '../../../formats/bytes.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { openLocalStore } from '../../../lib/local-store.node.ts';
import { type StoreProblem, verifyStore } from '../../../lib/maintain/verify-store.node.ts';
import { noise, text } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { chunkPath, describeStore, storeChunks } from './small-store.ts';

const CHUNKS = [text(500), noise(300), new Uint8Array(1000), noise(50, 7)];
const THREADS = [0, 2];
const SIZES = { chunkSizes: { min: 1, avg: 1 << 16, max: 1 << 20 } };

function changeByte(path: string, offset: number, mask: number): void {
  const bytes = fs.readFileSync(path);
  bytes[offset] ^= mask;
  fs.chmodSync(path, 0o644);
  fs.writeFileSync(path, bytes);
}

function fileOf(folder: string, index: ChunkIndex, chunk: number): string {
  return join(folder, chunkPath(index.id(chunk)));
}

function brief({ kind, id, path }: StoreProblem): string {
  return [kind, path ?? id].join(' ');
}

for (const threadCount of THREADS) {
  test(`a store in which all is well has no problems, ${threadCount} threads`, async (t) => {
    const folder = join(temporaryFolder(t), 's.castr');
    const many = Array.from({ length: 300 }, (_, i) => noise(100 + i, i + 1));
    await storeChunks(folder, many);
    const result = await verifyStore(describeStore(folder), { threadCount });
    t.deepEqual(result.problems, []);
    t.is(result.chunkCount, 300);
    t.is(result.goodBytes, concatBytes(many).length);
  });

  test(`every problem is reported, whatever was before it, ${threadCount} threads`, async (t) => {
    const folder = join(temporaryFolder(t), 's.castr');
    const index = await storeChunks(folder, CHUNKS);
    changeByte(fileOf(folder, index, 0), 20, 1);
    const moved = join(folder, 'ffff', `${index.id(1)}.cacnk`);
    fs.mkdirSync(dirname(moved));
    fs.renameSync(fileOf(folder, index, 1), moved);
    fs.truncateSync(fileOf(folder, index, 2), 0);
    fs.writeFileSync(join(folder, 'README'), '');
    fs.mkdirSync(join(folder, 'leases'));
    fs.writeFileSync(join(folder, 'ffff', 'note.txt'), '');
    fs.writeFileSync(join(folder, 'ffff', `${index.id(1)}.1f.tmp`), '');
    fs.symlinkSync('x', join(folder, 'ffff', `ffff${'0'.repeat(60)}.cacnk`));
    const told: StoreProblem[] = [];
    const onProblem = (problem: StoreProblem) => told.push(problem);
    const result = await verifyStore(describeStore(folder), { threadCount, onProblem });
    t.deepEqual(
      result.problems.map(brief).sort(),
      [
        `damaged ${chunkPath(index.id(0))}`,
        `damaged ${chunkPath(index.id(2))}`,
        'foreign README',
        `foreign ffff/ffff${'0'.repeat(60)}.cacnk`,
        'foreign ffff/note.txt',
        `misplaced ffff/${index.id(1)}.cacnk`,
      ].sort(),
    );
    t.deepEqual(told, result.problems);
    t.is(result.temporaryCount, 1);
    t.is(result.chunkCount, 3);
    t.is(result.goodBytes, 50);
  });

  test(`of an index, chunks that are missing or damaged are named, ${threadCount} threads`, async (t) => {
    const folder = join(temporaryFolder(t), 's.castr');
    const index = await storeChunks(folder, [...CHUNKS, ...CHUNKS]);
    await storeChunks(folder, [noise(10, 99)]);
    fs.rmSync(fileOf(folder, index, 3));
    changeByte(fileOf(folder, index, 1), 20, 1);
    const result = await verifyStore(describeStore(folder), { threadCount, indexes: [index] });
    t.deepEqual(result.problems.map(brief).sort(), [
      `damaged ${index.id(1)}`,
      `missing ${index.id(3)}`,
    ]);
    t.is(result.chunkCount, 4);
  });
}

test('a chunk of an index may be in another store, and may be good there', async (t) => {
  const folder = temporaryFolder(t);
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const index = await storeChunks(one, CHUNKS);
  await storeChunks(two, CHUNKS);
  changeByte(fileOf(one, index, 0), 20, 1);
  fs.rmSync(fileOf(one, index, 1));
  const extraStores = [describeStore(two)];
  const result = await verifyStore(describeStore(one), { indexes: [index], extraStores });
  t.deepEqual(result.problems, []);
});

test('a chunk that is good for another digest is not good for this index', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  const sha512 = await storeChunks(folder, CHUNKS, { digest: 'sha512-256' });
  const sha256 = await storeChunks(folder, CHUNKS);
  const both = await verifyStore(describeStore(folder), { indexes: [sha512, sha256] });
  t.deepEqual([both.problems.length, both.chunkCount], [0, 8]);
  const all = await verifyStore(describeStore(folder));
  t.deepEqual([all.problems.length, all.chunkCount], [0, 8]);
  const builder = new IndexBuilder();
  builder.add(sha256.id(0), sha256.size(0));
  const wrong = builder.finish({ ...SIZES, featureFlags: FEATURE.sha512_256 });
  const result = await verifyStore(describeStore(folder), { indexes: [wrong] });
  t.deepEqual(result.problems.map(brief), [`damaged ${sha256.id(0)}`]);
});

test('a chunk of another length than the index says is damage', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  const index = await storeChunks(folder, CHUNKS);
  const builder = new IndexBuilder();
  builder.add(index.id(0), index.size(0) + 1);
  const wrong = builder.finish({ ...SIZES, featureFlags: 0n });
  const result = await verifyStore(describeStore(folder), { indexes: [wrong] });
  t.deepEqual(result.problems.map(brief), [`damaged ${index.id(0)}`]);
});

test('uncompressed chunks are checked, beside compressed ones, too', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  const index = await storeChunks(folder, CHUNKS);
  const plain = join(folder, chunkPath(index.id(0), ''));
  fs.writeFileSync(plain, CHUNKS[0]);
  t.deepEqual((await verifyStore(describeStore(folder))).problems, []);
  changeByte(plain, 3, 4);
  const result = await verifyStore(describeStore(folder));
  t.deepEqual(result.problems.map(brief), [`damaged ${chunkPath(index.id(0), '')}`]);
});

test('chunks under another suffix are those of the store', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  await storeChunks(folder, CHUNKS, { suffix: '.xz' });
  const result = await verifyStore(describeStore(folder, { suffix: '.xz' }));
  t.deepEqual([result.chunkCount, result.problems.length], [4, 0]);
});

// One after another: the user is that of the whole process.
test.serial('what cannot be read is a problem and no end', async (t) => {
  const parent = temporaryFolder(t);
  const folder = join(parent, 's.castr');
  const index = await storeChunks(folder, CHUNKS);
  fs.chmodSync(parent, 0o755);
  fs.chmodSync(fileOf(folder, index, 0), 0);
  fs.chmodSync(dirname(fileOf(folder, index, 1)), 0);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    const result = await verifyStore(describeStore(folder), { threadCount: 0 });
    t.deepEqual(
      result.problems.map(brief).sort(),
      [`unreadable ${index.id(1).slice(0, 4)}`, `unreadable ${chunkPath(index.id(0))}`].sort(),
    );
  } finally {
    if (isRoot) process.seteuid?.(0);
    fs.chmodSync(dirname(fileOf(folder, index, 1)), 0o755);
  }
});

test('something else in place of a chunk is foreign', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  const index = await storeChunks(folder, CHUNKS);
  fs.rmSync(fileOf(folder, index, 0));
  fs.mkdirSync(fileOf(folder, index, 0));
  const result = await verifyStore(describeStore(folder));
  t.deepEqual(result.problems.map(brief), [`foreign ${chunkPath(index.id(0))}`]);
});

test('a store that is not there is an error of its own', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  await t.throwsAsync(verifyStore(describeStore(folder)), { code: 'STORE_MISSING' });
});

test('a check that is interrupted ends', async (t) => {
  const folder = join(temporaryFolder(t), 's.castr');
  await storeChunks(folder, CHUNKS);
  const options = { signal: AbortSignal.abort(), threadCount: 0 };
  await t.throwsAsync(verifyStore(describeStore(folder), options), { code: 'ABORTED' });
});

for (const compression of ['zstd', 'xz', 'gzip'] as const) {
  test(`no flipped bit of a chunk escapes, ${compression}`, async (t) => {
    const folder = join(temporaryFolder(t), 's.castr');
    const index = await storeChunks(folder, [text(120)], { compression });
    const path = fileOf(folder, index, 0);
    const good = fs.readFileSync(path);
    fs.chmodSync(path, 0o644);
    const harmless: number[] = [];
    for (let bit = 0; bit < 8 * good.length; bit++) {
      const bytes = Buffer.from(good);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      fs.writeFileSync(path, bytes);
      const { problemCounts } = await verifyStore(describeStore(folder), { threadCount: 0 });
      if (problemCounts.damaged !== 1) harmless.push(bit);
    }
    // What does not show is not part of the content: gzip's time, flags and system.
    const isHeader = (bit: number) => compression === 'gzip' && bit >= 8 * 3 && bit < 8 * 10;
    const store = openLocalStore(describeStore(folder));
    for (const bit of harmless.filter((candidate) => !isHeader(candidate))) {
      const bytes = Buffer.from(good);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      fs.writeFileSync(path, bytes);
      t.deepEqual(await store.get(index.id(0)), text(120), `bit ${bit}`);
      t.log(`bit ${bit} changes nothing`);
    }
    t.true(harmless.length < 80, `${harmless.length} harmless bits`);
    await store.close();
  });
}
