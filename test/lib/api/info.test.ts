import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { type IndexInfo, info } from '../../../lib/api/info.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import { noise, text } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { chunkPath, storeChunks } from '../maintain/small-store.ts';

const CHUNKS = [text(500), noise(300), text(500), noise(50, 7)];

async function place(t: ExecutionContext) {
  const folder = temporaryFolder(t);
  const store = join(folder, 'default.castr');
  const index = await storeChunks(store, CHUNKS);
  const path = join(folder, 'x.caibx');
  fs.writeFileSync(path, encodeIndex(index));
  const sizeOf = (chunk: number) => fs.statSync(join(store, chunkPath(index.id(chunk)))).size;
  return { folder, store, index, path, sizeOf };
}

test('of an index: its header, its chunks, and what of them is in the store', async (t) => {
  const { store, path, index, sizeOf } = await place(t);
  t.deepEqual(await info({ input: path }), {
    kind: 'blob-index',
    featureFlags: 0n,
    features: [],
    digest: 'sha256',
    chunkSizes: index.chunkSizes,
    totalBytes: 1350,
    chunkCount: 4,
    stores: [store],
    smallestChunk: 50,
    largestChunk: 500,
    distinct: {
      chunkCount: 3,
      bytes: 850,
      storedBytes: sizeOf(0) + sizeOf(1) + sizeOf(3),
      missingCount: 0,
    },
  });
});

test('chunks that no store has are counted, and stores that are not there are not asked', async (t) => {
  const { folder, store, path, index, sizeOf } = await place(t);
  const left = sizeOf(0) + sizeOf(3);
  fs.rmSync(join(store, chunkPath(index.id(1))));
  const one = (await info({ input: path })) as IndexInfo;
  t.deepEqual([one.distinct.missingCount, one.distinct.storedBytes], [1, left]);
  const extra = join(folder, 'extra.castr');
  await storeChunks(extra, [CHUNKS[1]]);
  const two = (await info({ input: path, extraStores: [extra] })) as IndexInfo;
  t.deepEqual([two.distinct.missingCount, two.stores], [0, [store, extra]]);
  const none = (await info({ input: path, store: join(folder, 'nowhere') })) as IndexInfo;
  t.deepEqual([none.stores, none.distinct], [[], { chunkCount: 3, bytes: 850 }]);
});

test('an update fetches what neither an older index nor other seeds have', async (t) => {
  const { folder, path, sizeOf } = await place(t);
  const older = join(folder, 'older.caibx');
  fs.writeFileSync(older, encodeIndex(await storeChunks(join(folder, 'o.castr'), [CHUNKS[0]])));
  const { update } = (await info({ input: path, seeds: [older] })) as IndexInfo;
  const storedBytes = sizeOf(1) + sizeOf(3);
  t.deepEqual(update, { chunkCount: 2, bytes: 350, storedBytes, missingCount: 0 });
  await t.throwsAsync(info({ input: path, seeds: [join(folder, 'nothing')] }));
});

for (const threadCount of [0, 2]) {
  test(`an update from a file or folder is told by what they hold, ${threadCount} threads`, async (t) => {
    const folder = temporaryFolder(t);
    const [old, added] = [noise(400_000, 3), noise(300_000, 5)];
    fs.mkdirSync(join(folder, 'tree'));
    fs.writeFileSync(join(folder, 'old'), old);
    fs.writeFileSync(join(folder, 'tree/added'), added);
    fs.writeFileSync(join(folder, 'new'), Buffer.concat([old, added]));
    const output = join(folder, 'new.caibx');
    await make({ input: join(folder, 'new'), output, threadCount });
    const bytesWith = async (...names: readonly string[]): Promise<number | undefined> => {
      const seeds = names.map((name) => join(folder, name));
      const result = (await info({ input: output, seeds, threadCount })) as IndexInfo;
      return result.update?.bytes;
    };
    t.is(await bytesWith(), undefined);
    t.is(await bytesWith('new'), 0);
    const withOld = await bytesWith('old');
    t.true(withOld !== undefined && withOld >= 300_000 && withOld < 600_000, `${withOld}`);
    const withFolder = await bytesWith('tree');
    t.is(typeof withFolder, 'number');
  });
}

test('of an archive: its entries by type, and the bytes of its files', async (t) => {
  const folder = temporaryFolder(t);
  fs.mkdirSync(join(folder, 'tree/sub'), { recursive: true });
  fs.writeFileSync(join(folder, 'tree/a'), noise(1000));
  fs.writeFileSync(join(folder, 'tree/sub/b'), noise(234));
  fs.symlinkSync('a', join(folder, 'tree/link'));
  const output = join(folder, 'x.catar');
  await make({ input: join(folder, 'tree'), output });
  const result = await info({ input: output });
  t.is(result.kind, 'archive');
  if (result.kind !== 'archive') return;
  t.deepEqual(result.entryCounts, { directory: 2, file: 2, symlink: 1 });
  t.is(result.contentBytes, 1234);
  t.is(result.totalBytes, fs.statSync(output).size);
  t.true(result.features.includes('symlinks'), result.features.join());
  fs.renameSync(output, join(folder, 'without-suffix'));
  t.is((await info({ input: join(folder, 'without-suffix') })).kind, 'archive');
});

test('of a store: chunks, bytes, folders, compressions, and what does not belong there', async (t) => {
  const { store, index, sizeOf } = await place(t);
  await storeChunks(store, [text(700)], { compression: 'gzip' });
  const shard = join(store, index.id(0).slice(0, 4));
  fs.writeFileSync(join(shard, `${index.id(0)}.1f.tmp`), '');
  fs.writeFileSync(join(shard, 'note'), '');
  fs.writeFileSync(join(store, chunkPath(index.id(1), '')), CHUNKS[1]);
  const result = await info({ input: store });
  t.is(result.kind, 'store');
  if (result.kind !== 'store') return;
  const { storedBytes, ...counts } = result;
  t.true(storedBytes > sizeOf(0) + sizeOf(1) + sizeOf(3) + CHUNKS[1].length);
  t.deepEqual(counts, {
    kind: 'store',
    chunkCount: 5,
    sampledCount: 5,
    temporaryCount: 1,
    foreignCount: 1,
    folderCount: 4,
    compressions: { zstd: 3, gzip: 1, none: 1 },
  });
});

test('something else is refused', async (t) => {
  const { folder } = await place(t);
  const path = join(folder, 'blob');
  fs.writeFileSync(path, noise(100));
  await t.throwsAsync(info({ input: path }), { code: 'USAGE' });
  await t.throwsAsync(info({ input: join(folder, 'nothing.caibx') }), { code: 'INDEX_MISSING' });
});
